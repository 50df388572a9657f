"""The DCT of blocks of pixels, its coefficients in the order of their spread in natural pictures; and such pictures.

Shape suffixes: B batch, C channels, H height, W width, S a block's side; h and w the grid of blocks.
"""

import math
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dcae_export.models.autoencoder import IMAGE_CHANNELS

# Rows: luma, and the differences of blue and red (ITU-R BT.601).
_FROM_RGB: Final = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
# The spread of either difference for a luma of 1. Amplitudes fall with frequency: a difference of colour is as large
# as a luma of 1 / _CHROMA times its frequency.
_CHROMA: Final = 0.35
# Of the values of pictures in [-1, 1].
_STD: Final = 0.5
# In half periods per block: what is above is never among the leading ones.
_HIGHEST_FREQUENCY: Final = 16
# Gives a block's mean a frequency, half a period of the lowest.
_MEAN_FREQUENCY: Final = 0.5


def natural_noise(count: int, side: int, *, generator: torch.Generator) -> Tensor:
    """Noise with the spectrum of natural pictures, amplitude 1 / frequency: (B, 3, side, side), about [-1, 1]."""
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
    amplitude = 1 / np.sqrt(rows**2 + columns**2 + (_MEAN_FREQUENCY / side) ** 2)
    white = torch.randn(count, IMAGE_CHANNELS, side, side, generator=generator).numpy()
    planes = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=(side, side))
    planes *= np.array((1.0, _CHROMA, _CHROMA))[:, None, None] / planes.std()
    pictures = np.einsum("rc,bchw->brhw", np.linalg.inv(np.array(_FROM_RGB)), planes)
    return torch.tensor(pictures * (_STD / pictures.std()), dtype=torch.float32)


def coefficients(
    pictures_BCHW: Tensor, count: int, *, level: int, whitening: float = 1.0
) -> Tensor:
    """The leading coefficients of blocks of 2 ** ``level`` pixels a side: (B, count, h, w).

    Each is divided by its spread, the standard deviation, to the power of ``whitening``. Where a block has fewer
    than ``count`` coefficients, zeros follow.
    """
    side = 2**level
    kept = min(side, _HIGHEST_FREQUENCY)
    dct = _dct(side)[:kept]
    planes = torch.einsum("rc,bchw->brhw", torch.tensor(_FROM_RGB), pictures_BCHW)
    batch, _, height, width = planes.shape
    blocks = planes.reshape(batch, -1, height // side, side, width // side, side)
    found = torch.einsum("us,vt,brhswt->bruvhw", dct, dct, blocks).flatten(1, 3)
    leading = found[:, _order(kept)[:count]]
    spread = leading.std(dim=(0, 2, 3), keepdim=True)
    return F.pad(leading / spread**whitening, (0, 0, 0, 0, 0, count - leading.shape[1]))


def _order(kept: int) -> Tensor:
    """Indices of (plane, row frequency, column frequency), flattened, the largest in natural pictures first."""
    frequency = torch.arange(kept)
    radius = torch.sqrt(frequency[:, None] ** 2 + frequency**2 + _MEAN_FREQUENCY**2)
    size = torch.tensor((1.0, _CHROMA, _CHROMA))[:, None, None] / radius
    return size.flatten().sort(descending=True, stable=True).indices


def _dct(side: int) -> Tensor:
    """The orthonormal DCT-II, (frequency, pixel)."""
    pixel, frequency = torch.arange(side) + 0.5, torch.arange(side)[:, None]
    matrix = torch.cos(math.pi * frequency * pixel / side) * math.sqrt(2 / side)
    matrix[0] /= math.sqrt(2)
    return matrix
