"""Downsampling blocks become strided convolutions."""

import pytest
import torch
from autoencoders import random_input
from export_factory import assert_equal, output, randomized
from torch import nn

from dcae_export.export.passes.fold_downsampling import UnshuffledConv, fold_downsampling
from dcae_export.models.layers import ConvPixelUnshuffle, LatentConv, StridedConv

BLOCKS = [ConvPixelUnshuffle, StridedConv]
# Each output channel averages 4 in / out channels of the unshuffled input: groups of 2, 4, 1 and 8.
WIDTHS = [(4, 8), (4, 4), (2, 8), (8, 4)]
SIZES = [(2, 2), (4, 6), (10, 2)]


@pytest.mark.parametrize("shortcut", [True, False], ids=["shortcut", "no shortcut"])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("block", BLOCKS)
def test_the_convolutions_compute_what_the_block_did(block, widths, shortcut):
    module = randomized(nn.Sequential(block(*widths, shortcut=shortcut)))
    inputs = [random_input(2, widths[0], *size).double() for size in SIZES]
    before = [output(module, x) for x in inputs]
    fold_downsampling(module)
    assert_only_convolutions(module)
    for x, expected in zip(inputs, before, strict=True):
        assert_equal(output(module, x), expected)


def assert_only_convolutions(module: nn.Module) -> None:
    for part in module.modules():
        assert not isinstance(part, ConvPixelUnshuffle)
        assert not (isinstance(part, StridedConv) and part.shortcut)


def test_channels_come_out_in_the_order_of_pixel_unshuffle():
    """out[4 c + 2 dy + dx] is channel c at offset (dy, dx): SpaceToDepth orders them otherwise."""
    block = randomized(ConvPixelUnshuffle(2, 8, shortcut=False))
    # The identity: what is left is the unshuffle alone.
    block.conv.weight.copy_(
        torch.eye(2)[:, :, None, None] * torch.eye(3)[1][:, None] * torch.eye(3)[1]
    )
    block.conv.bias.zero_()
    x = random_input(1, 2, 4, 6).double()
    y = UnshuffledConv(block)(x)
    for channel in range(2):
        for row in range(2):
            for column in range(2):
                expected = x[:, channel, row::2, column::2]
                assert torch.equal(y[:, 4 * channel + 2 * row + column], expected)


def test_other_convolutions_stay_as_they_are():
    module = randomized(
        nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), LatentConv(4, 2, shortcut=True))
    )
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    fold_downsampling(module)
    assert module[1].shortcut
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("block", BLOCKS)
def test_the_checkpoints_own_tensors_are_not_written_to(block):
    module = randomized(nn.Sequential(block(4, 8)))
    weight = module[0].conv.weight
    kept = weight.clone()
    fold_downsampling(module)
    assert torch.equal(weight, kept)
