"""Upsampling blocks lose their shortcut, and the interpolating one its resize."""

import pytest
import torch
from autoencoders import random_input
from export_factory import assert_equal, output, randomized
from torch import nn

from dcae_export.export.passes.fold_upsampling import PhaseConv, fold_upsampling
from dcae_export.models.layers import ConvPixelShuffle, InterpolateConv, LatentConv

BLOCKS = [ConvPixelShuffle, InterpolateConv]
# Each input channel is copied 4 out / in times: twice, four times, once, eight times.
WIDTHS = [(8, 4), (4, 4), (8, 2), (2, 4)]
SIZES = [(1, 1), (2, 3), (5, 1)]


@pytest.mark.parametrize("shortcut", [True, False], ids=["shortcut", "no shortcut"])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("block", BLOCKS)
def test_the_folded_block_computes_what_the_block_did(block, widths, shortcut):
    module = randomized(nn.Sequential(block(*widths, shortcut=shortcut)))
    inputs = [random_input(2, widths[0], *size).double() for size in SIZES]
    before = [output(module, x) for x in inputs]
    fold_upsampling(module)
    assert not getattr(module[0], "shortcut", False)
    for x, expected in zip(inputs, before, strict=True):
        assert_equal(output(module, x), expected)


def test_no_interpolation_is_left():
    module = randomized(nn.Sequential(InterpolateConv(8, 4), InterpolateConv(4, 4)))
    fold_upsampling(module)
    assert [type(part) for part in module] == [PhaseConv, PhaseConv]


def test_a_shuffling_block_without_shortcut_keeps_its_weights():
    module = randomized(nn.Sequential(ConvPixelShuffle(8, 4, shortcut=False)))
    weight = module[0].conv.weight
    fold_upsampling(module)
    assert module[0].conv.weight is weight


def test_a_latent_shortcut_is_left_to_its_own_pass():
    module = randomized(nn.Sequential(LatentConv(4, 8, shortcut=True)))
    weight = module[0].conv.weight
    fold_upsampling(module)
    assert module[0].shortcut
    assert module[0].conv.weight is weight


@pytest.mark.parametrize("block", BLOCKS)
def test_the_checkpoints_own_tensors_are_not_written_to(block):
    module = randomized(nn.Sequential(block(8, 4)))
    weight = module[0].conv.weight
    kept = weight.clone()
    fold_upsampling(module)
    assert torch.equal(weight, kept)
