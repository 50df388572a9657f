"""Convolutional layers of DC-AE: norms, residual blocks and residual autoencoding.

Shape suffixes: B batch, C channels, H height, W width; a lower-case letter marks a changed size.

Residual autoencoding (DC-AE, arXiv 2410.10733, section 3.2) puts a shortcut without weights around every
change of resolution: space-to-channel followed by a channel average on the way down, a channel
duplication followed by channel-to-space on the way up.
"""

import contextlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def at_least_float32(x: Tensor) -> torch.dtype:
    """The dtype of ``x``, or float32 where that is narrower."""
    return torch.promote_types(x.dtype, torch.float32)


def without_autocast(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Switch autocast off where it is on for the device of ``x``.

    Where it is off, as in every trace, nothing is entered: an exported graph shows nothing of it.
    """
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()


class RMSNorm2d(nn.Module):
    """Divide each pixel by the root mean square over its channels, then scale and shift.

    No mean is subtracted, yet there is a bias. Computed in float32 or wider.
    """

    eps = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = x_BCHW.to(at_least_float32(x_BCHW))
        x = x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + self.eps)
        x = x * self.weight.to(x.dtype)[:, None, None] + self.bias.to(x.dtype)[:, None, None]
        return x.to(x_BCHW.dtype)


class ResBlock(nn.Module):
    """x + norm(conv(activation(conv(x)))): only the second convolution is normed."""

    def __init__(self, channels: int, *, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = activation
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = norm

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.norm(self.conv2(self.activation(self.conv1(x_BCHW))))


def average_channels(x_BCHW: Tensor, channels: int) -> Tensor:
    """Average consecutive groups of channels down to ``channels``: (B, C, H, W) -> (B, channels, H, W)."""
    return torch.unflatten(x_BCHW, 1, (channels, -1)).mean(dim=2)


def duplicate_channels(x_BCHW: Tensor, channels: int) -> Tensor:
    """Repeat each channel, copies adjacent, up to ``channels``: (B, C, H, W) -> (B, channels, H, W)."""
    return x_BCHW.repeat_interleave(channels // x_BCHW.shape[1], dim=1)


class ConvPixelUnshuffle(nn.Module):
    """Halve the resolution: a 3x3 convolution, then pixel-unshuffle; the shortcut averages.

    Channel order of the unshuffle: out[4c + 2dy + dx] = in[c] at offset (dy, dx).
    """

    def __init__(self, in_channels: int, out_channels: int, *, shortcut: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels // 4, 3, padding=1)
        self.shortcut = shortcut

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_Bchw = F.pixel_unshuffle(self.conv(x_BCHW), 2)
        if self.shortcut:
            y_Bchw = y_Bchw + average_channels(F.pixel_unshuffle(x_BCHW, 2), y_Bchw.shape[1])
        return y_Bchw


class StridedConv(nn.Module):
    """Halve the resolution: a 3x3 convolution with stride 2; the shortcut averages."""

    def __init__(self, in_channels: int, out_channels: int, *, shortcut: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.shortcut = shortcut

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_Bchw = self.conv(x_BCHW)
        if self.shortcut:
            y_Bchw = y_Bchw + average_channels(F.pixel_unshuffle(x_BCHW, 2), y_Bchw.shape[1])
        return y_Bchw


class ConvPixelShuffle(nn.Module):
    """Double the resolution: a 3x3 convolution, then pixel-shuffle; the shortcut duplicates."""

    def __init__(self, in_channels: int, out_channels: int, *, shortcut: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1)
        self.shortcut = shortcut

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.conv(x_BCHW)
        if self.shortcut:
            y_BCHW = y_BCHW + duplicate_channels(x_BCHW, y_BCHW.shape[1])
        return F.pixel_shuffle(y_BCHW, 2)


class InterpolateConv(nn.Module):
    """Double the resolution: nearest-neighbour upsampling, then a 3x3 convolution; the shortcut duplicates."""

    def __init__(self, in_channels: int, out_channels: int, *, shortcut: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.shortcut = shortcut

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_Bchw = self.conv(F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest"))
        if self.shortcut:
            y_Bchw = y_Bchw + F.pixel_shuffle(duplicate_channels(x_BCHW, 4 * y_Bchw.shape[1]), 2)
        return y_Bchw


class LatentConv(nn.Module):
    """Change the channel count at the latent end with a 3x3 convolution; the shortcut averages or duplicates."""

    def __init__(self, in_channels: int, out_channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.shortcut = shortcut

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.conv(x_BCHW)
        if not self.shortcut:
            return y_BCHW
        if x_BCHW.shape[1] >= y_BCHW.shape[1]:
            return y_BCHW + average_channels(x_BCHW, y_BCHW.shape[1])
        return y_BCHW + duplicate_channels(x_BCHW, y_BCHW.shape[1])
