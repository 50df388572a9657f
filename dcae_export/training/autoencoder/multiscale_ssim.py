"""Multi-scale structural similarity, with a gradient that has a bound.

Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment" (2003), equation 7: the
product of contrast and structure over scales, each half as wide as the one before, and of the luminance at the last;
a window of 11 px with a standard deviation of 1.5.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dcae_export.errors import ConfigError
from dcae_export.models.layers import at_least_float32, without_autocast

WINDOW = 11
# Exponents by scale, from the widest picture on; the paper's table 1.
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2
# A power below 1 has a slope without a bound at 0, and no value below: a scale counts as at least this alike.
_FLOOR = 0.01


def num_scales(side: int) -> int:
    """How many of the five scales a picture holds whose shorter side has ``side`` pixels: 5 from 176 px on.

    Raises:
        ConfigError: The window does not fit once.
    """
    scales = sum(side >> scale >= WINDOW for scale in range(len(EXPONENTS)))
    if not scales:
        raise ConfigError(f"SSIM compares windows of {WINDOW} px: {side} px is too small a picture")
    return scales


def multiscale_ssim(first_BCHW: Tensor, second_BCHW: Tensor, *, scales: int) -> Tensor:
    """How alike two batches of pictures in [0, 1] are: (B,), 1 where they are equal.

    Means are over channels and all windows that lie inside. Fewer than five scales have the first of the
    exponents, in proportion, with a sum of 1. Computed in float32 or wider, under autocast too: a variance is the
    small difference of two means.

    Args:
        first_BCHW: Pictures.
        second_BCHW: Pictures of the same shape, which may leave [0, 1].
        scales: From 1 to ``num_scales`` of the shorter side.
    """
    dtype = at_least_float32(first_BCHW)
    exponents = torch.tensor(EXPONENTS[:scales], dtype=dtype, device=first_BCHW.device)
    with without_autocast(first_BCHW):
        x, y = first_BCHW.to(dtype), second_BCHW.to(dtype)
        factors: list[Tensor] = []
        for scale in range(scales):
            if scale:
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
            factors.append(_similarity(x, y, with_luminance=scale == scales - 1))
        alike_SB = torch.stack(factors).clamp(min=_FLOOR)
        return (alike_SB ** (exponents / exponents.sum())[:, None]).prod(dim=0)


def _similarity(x: Tensor, y: Tensor, *, with_luminance: bool) -> Tensor:
    """The mean over windows and channels of contrast and structure, with the luminance or without: (B,)."""
    window = _window(x)
    mean_x, mean_y = _blur(x, window), _blur(y, window)
    variance_x = _blur(x.square(), window) - mean_x.square()
    variance_y = _blur(y.square(), window) - mean_y.square()
    covariance = _blur(x * y, window) - mean_x * mean_y
    alike = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    if with_luminance:
        alike = alike * (2 * mean_x * mean_y + _C1) / (mean_x.square() + mean_y.square() + _C1)
    return alike.mean(dim=(1, 2, 3))


def _window(x: Tensor) -> Tensor:
    """The Gaussian's weights along one side, with a sum of 1."""
    distance = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = torch.exp(-distance.square() / (2 * _SIGMA**2))
    return weights / weights.sum()


def _blur(x: Tensor, window: Tensor) -> Tensor:
    """Weighted means over all windows that lie inside: (B, C, H, W) to (B, C, H - 10, W - 10)."""
    channels = x.shape[1]
    down = window.view(1, 1, -1, 1).expand(channels, -1, -1, -1)
    along = window.view(1, 1, 1, -1).expand(channels, -1, -1, -1)
    return F.conv2d(F.conv2d(x, down, groups=channels), along, groups=channels)
