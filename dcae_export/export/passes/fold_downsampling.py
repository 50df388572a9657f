"""Fold convolution, pixel-unshuffle and averaging shortcut into one strided convolution."""

import torch
from torch import Tensor, nn

from dcae_export.export.replace_modules import replace_modules
from dcae_export.models.layers import ConvPixelUnshuffle, StridedConv


@torch.no_grad()
def fold_downsampling(module: nn.Module) -> None:
    """Leave no shortcut and no pixel-unshuffle in any downsampling block, in place.

    - Convolution, pixel-unshuffle: a 4x4 convolution of stride 2 and padding 1. Phase (i, j) holds the 3x3
      weights at offset (i, j); the shortcut reads the 2x2 window at taps (1 + i, 1 + j). It multiplies by
      16 / 9, and no channel order of an unshuffle is left for a runtime to get wrong.
    - Strided convolution: the shortcut's window lies inside the 3x3 taps and costs nothing.
    """
    replace_modules(module, ConvPixelUnshuffle, strided_conv)
    for block in module.modules():
        if isinstance(block, StridedConv) and block.shortcut:
            weight = block.conv.weight.clone()
            _add_average(weight)
            block.conv.weight = nn.Parameter(weight, requires_grad=False)
            block.shortcut = False


def strided_conv(block: ConvPixelUnshuffle) -> nn.Conv2d:
    """The 4x4 convolution of stride 2 that computes the block exactly."""
    quarter, in_channels = block.conv.weight.shape[:2]
    out_channels = 4 * quarter
    weight = block.conv.weight.new_zeros(out_channels, in_channels, 4, 4)
    for row in range(2):
        for column in range(2):
            phase = weight[2 * row + column :: 4, :, row : row + 3, column : column + 3]
            phase.copy_(block.conv.weight)
    if block.shortcut:
        _add_average(weight)
    with torch.device("meta"):
        conv = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1)
    assert block.conv.bias is not None
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(block.conv.bias.repeat_interleave(4), requires_grad=False)
    return conv


def _add_average(weight: Tensor) -> None:
    """Add the averaging shortcut to weights whose tap (1, 1) reads the window's top left pixel."""
    out_channels, in_channels = weight.shape[:2]
    group = 4 * in_channels // out_channels
    for source in range(in_channels):
        for row in range(2):
            for column in range(2):
                target = (4 * source + 2 * row + column) // group
                weight[target, source, 1 + row, 1 + column] += 1.0 / group
