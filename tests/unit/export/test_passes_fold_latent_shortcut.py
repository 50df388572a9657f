"""The shortcut at the latent end folds into its convolution."""

import pytest
import torch
from autoencoders import random_input
from export_factory import assert_equal, output, randomized
from torch import nn

from dcae_export.export.passes.fold_latent_shortcut import fold_latent_shortcut
from dcae_export.models.layers import ConvPixelShuffle, LatentConv

# Averaging 4 and 2 channels, neither, duplicating 2 and 4 times.
WIDTHS = [(8, 2), (8, 4), (4, 4), (4, 8), (2, 8)]


@pytest.mark.parametrize("widths", WIDTHS)
def test_the_convolution_alone_computes_what_the_block_did(widths):
    module = randomized(nn.Sequential(LatentConv(*widths, shortcut=True)))
    x = random_input(2, widths[0], 3, 4).double()
    before = output(module, x)
    fold_latent_shortcut(module)
    assert not module[0].shortcut
    assert_equal(output(module, x), before)
    assert_equal(output(module[0].conv, x), before)


def test_a_block_without_shortcut_keeps_its_weights():
    module = randomized(nn.Sequential(LatentConv(8, 2, shortcut=False)))
    weight = module[0].conv.weight
    fold_latent_shortcut(module)
    assert module[0].conv.weight is weight


def test_an_upsampling_shortcut_is_left_to_its_own_pass():
    module = randomized(nn.Sequential(ConvPixelShuffle(8, 4)))
    weight = module[0].conv.weight
    fold_latent_shortcut(module)
    assert module[0].shortcut
    assert module[0].conv.weight is weight


def test_the_checkpoints_own_tensors_are_not_written_to():
    module = randomized(nn.Sequential(LatentConv(8, 2, shortcut=True)))
    weight = module[0].conv.weight
    kept = weight.clone()
    fold_latent_shortcut(module)
    assert torch.equal(weight, kept)
