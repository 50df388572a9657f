"""Fold the duplicating shortcut of an upsampling block into its convolution's weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcae_export.export.replace_modules import replace_modules
from dcae_export.models.layers import ConvPixelShuffle, InterpolateConv


@torch.no_grad()
def fold_upsampling(module: nn.Module) -> None:
    """Leave no shortcut and no nearest-neighbour resize in any upsampling block, in place.

    - Convolution, pixel-shuffle: pre-shuffle channel k adds input channel k // r, so 1 is added to the
      centre tap of that pair. It costs nothing.
    - Nearest-neighbour resize, convolution: becomes ``PhaseConv``, 2.25 times fewer multiplications.
    """
    for block in module.modules():
        if isinstance(block, ConvPixelShuffle) and block.shortcut:
            weight = block.conv.weight.clone()
            out_channels, in_channels = weight.shape[:2]
            channel = torch.arange(out_channels)
            weight[channel, channel // (out_channels // in_channels), 1, 1] += 1
            block.conv.weight = nn.Parameter(weight, requires_grad=False)
            block.shortcut = False
    replace_modules(module, InterpolateConv, PhaseConv)


class PhaseConv(nn.Module):
    """A 3x3 convolution over a nearest-neighbour upsampled image, as one 2x2 convolution per output phase.

    Of the three taps along an axis two always read the same source pixel. For output row 2y the taps read
    source rows (y - 1, y, y) and for row 2y + 1 rows (y, y, y + 1): their sums are the 2 taps that remain.
    The duplicating shortcut reads the source pixel itself and joins the tap that does, too.
    """

    def __init__(self, source: InterpolateConv) -> None:
        super().__init__()
        weight, bias = source.conv.weight.detach(), source.conv.bias
        assert bias is not None
        self.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.phases = nn.ParameterList(
            _phase(weight, row, column, shortcut=source.shortcut)
            for row in range(2)
            for column in range(2)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for index, weight in enumerate(self.phases):
            row, column = divmod(index, 2)
            # (left, right, top, bottom): phase 0 looks one pixel back, phase 1 one ahead.
            padded = F.pad(x_BCHW, (1 - column, column, 1 - row, row))
            outputs.append(F.conv2d(padded, weight, self.bias))
        # Interleaving channels for pixel_shuffle; the exporter's graph pass turns this into DepthToSpace.
        stacked = torch.stack(outputs, dim=2).flatten(1, 2)
        return F.pixel_shuffle(stacked, 2)


def _phase(weight: Tensor, row: int, column: int, *, shortcut: bool) -> Tensor:
    def merge(taps: Tensor, phase: int, dim: int) -> Tensor:
        first, middle, last = taps.unbind(dim)
        pair = (first, middle + last) if phase == 0 else (first + middle, last)
        return torch.stack(pair, dim)

    merged = merge(merge(weight, row, 2), column, 3)
    if shortcut:
        out_channels, in_channels = weight.shape[:2]
        copies = 4 * out_channels // in_channels
        channel = torch.arange(out_channels)
        source = (4 * channel + 2 * row + column) // copies
        merged[channel, source, 1 - row, 1 - column] += 1
    return nn.Parameter(merged.contiguous(), requires_grad=False)
