"""Fold the shortcut at the latent end, averaging or duplicating, into its convolution's weights."""

import torch
from torch import nn

from dcae_export.models.layers import LatentConv


@torch.no_grad()
def fold_latent_shortcut(module: nn.Module) -> None:
    """Add the shortcut to the centre taps of every ``LatentConv``, in place. It costs nothing."""
    for block in module.modules():
        if isinstance(block, LatentConv) and block.shortcut:
            weight = block.conv.weight.clone()
            out_channels, in_channels = weight.shape[:2]
            if in_channels >= out_channels:
                group = in_channels // out_channels
                channel = torch.arange(in_channels)
                weight[channel // group, channel, 1, 1] += 1.0 / group
            else:
                channel = torch.arange(out_channels)
                weight[channel, channel // (out_channels // in_channels), 1, 1] += 1
            block.conv.weight = nn.Parameter(weight, requires_grad=False)
            block.shortcut = False
