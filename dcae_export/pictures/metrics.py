"""Measure how close a reconstruction is to its picture."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import PictureError

_PEAK: Final = 255.0
# Wang et al. 2004, section III-C: an 11 x 11 Gaussian window and these two stabilisers.
_WINDOW: Final = 11
_SIGMA: Final = 1.5
_C1: Final = (0.01 * _PEAK) ** 2
_C2: Final = (0.03 * _PEAK) ** 2
# The float64 copies of a band stay small beside the pictures; the windows of neighbouring bands
# share _WINDOW - 1 rows, which are then a small part of the work.
_BAND_ROWS: Final = 128


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Compute the peak signal-to-noise ratio over all pixels and channels.

    Args:
        a: (height, width, 3) RGB, 0 to 255.
        b: A picture of the same shape.

    Returns:
        The ratio in decibels; infinity for equal pictures.
    """
    assert a.shape == b.shape
    squared_error = cv2.norm(np.ascontiguousarray(a), np.ascontiguousarray(b), cv2.NORM_L2SQR)
    if squared_error == 0:
        return math.inf
    return 10 * math.log10(_PEAK**2 * a.size / squared_error)


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Compute the structural similarity, averaged over windows inside the picture and channels.

    Windows that reach over the border are left out, as scikit-image and torchmetrics do.

    Args:
        a: (height, width, 3) RGB, 0 to 255, at least 11 pixels a side.
        b: A picture of the same shape.

    Returns:
        The similarity, -1 to 1; 1 for equal pictures.

    Raises:
        PictureError: If a side is shorter than the window.
    """
    assert a.shape == b.shape
    height, width, channels = a.shape
    if min(height, width) < _WINDOW:
        raise PictureError(
            f"SSIM needs pictures of at least {_WINDOW} x {_WINDOW} pixels, "
            f"not {width} x {height}; compare a larger picture"
        )
    num_rows = height - _WINDOW + 1
    total = 0.0
    for top in range(0, num_rows, _BAND_ROWS):
        rows = slice(top, min(top + _BAND_ROWS, num_rows) + _WINDOW - 1)
        total += _ssim_sum(a[rows].astype(np.float64), b[rows].astype(np.float64))
    return total / (num_rows * (width - _WINDOW + 1) * channels)


def _ssim_sum(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Sum the similarity of every window inside a band."""
    mean_a, mean_b = _window_means(a), _window_means(b)
    mean_product = mean_a * mean_b
    mean_squares = mean_a**2 + mean_b**2
    covariance = _window_means(a * b) - mean_product
    variances = _window_means(a**2 + b**2) - mean_squares
    similarity = (2 * mean_product + _C1) * (2 * covariance + _C2)
    similarity /= (mean_squares + _C1) * (variances + _C2)
    return float(similarity.sum())


def _window_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    means = cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA)
    border = _WINDOW // 2
    return np.asarray(means[border:-border, border:-border], np.float64)
