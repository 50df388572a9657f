"""Fold convolution, pixel-unshuffle and averaging shortcut into strided convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcae_export.export.replace_modules import replace_modules
from dcae_export.models.layers import ConvPixelUnshuffle, StridedConv


@torch.no_grad()
def fold_downsampling(module: nn.Module) -> None:
    """Leave no shortcut and no pixel-unshuffle in any downsampling block, in place.

    - Convolution, pixel-unshuffle: becomes ``UnshuffledConv``, the same number of multiplications.
    - Strided convolution: the shortcut's 2x2 window lies inside the 3x3 taps and costs nothing.
    """
    replace_modules(module, ConvPixelUnshuffle, UnshuffledConv)
    for block in module.modules():
        if isinstance(block, StridedConv) and block.shortcut:
            weight = block.conv.weight.clone()
            out_channels = weight.shape[0]
            _add_average(weight, torch.arange(out_channels), out_channels, row=0, column=0)
            block.conv.weight = nn.Parameter(weight, requires_grad=False)
            block.shortcut = False


class UnshuffledConv(nn.Module):
    """A 3x3 convolution and its pixel-unshuffle, as one convolution of stride 2 per phase of the window.

    Phase (i, j) computes the pixels at offset (i, j) of each 2x2 window: channels 2i + j, 2i + j + 4, ... of
    the result. Its 3x3 taps reach every pixel of the window, so the shortcut's average folds into them, other
    taps for each phase. A gather brings the channels into the order of pixel_unshuffle; no operator is left
    whose channel order a runtime could get wrong.
    """

    order: Tensor

    def __init__(self, source: ConvPixelUnshuffle) -> None:
        super().__init__()
        assert source.conv.bias is not None
        self.bias = nn.Parameter(source.conv.bias.detach(), requires_grad=False)
        self.phases = nn.ParameterList(
            _phase(source, row, column) for row in range(2) for column in range(2)
        )
        channel = torch.arange(4 * len(self.bias))
        self.register_buffer("order", channel % 4 * len(self.bias) + channel // 4)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for index, weight in enumerate(self.phases):
            row, column = divmod(index, 2)
            # (left, right, top, bottom): phase 0 starts one pixel before the window, phase 1 ends one after.
            padded = F.pad(x_BCHW, (1 - column, column, 1 - row, row))
            outputs.append(F.conv2d(padded, weight, self.bias, stride=2))
        return torch.index_select(torch.cat(outputs, dim=1), 1, self.order)


def _phase(source: ConvPixelUnshuffle, row: int, column: int) -> nn.Parameter:
    weight = source.conv.weight.detach().clone()
    if source.shortcut:
        channel = 4 * torch.arange(len(weight)) + 2 * row + column
        _add_average(weight, channel, 4 * len(weight), row=row, column=column)
    return nn.Parameter(weight, requires_grad=False)


def _add_average(
    weight: Tensor, channel: Tensor, out_channels: int, *, row: int, column: int
) -> None:
    """Add the averaging shortcut to 3x3 taps, the pixel at (row, column) of the window at their centre.

    Result channel k averages a group of consecutive channels of the unshuffled input, where channel p is
    channel p // 4 at offset (p % 4 // 2, p % 2) of the window. ``channel`` holds k for each row of ``weight``.
    """
    group = 4 * weight.shape[1] // out_channels
    filters = torch.arange(len(weight))
    for member in range(group):
        unshuffled = channel * group + member
        tap_row = unshuffled % 4 // 2 + 1 - row
        tap_column = unshuffled % 2 + 1 - column
        weight[filters, unshuffled // 4, tap_row, tap_column] += 1.0 / group
