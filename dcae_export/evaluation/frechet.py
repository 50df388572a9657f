"""The Fréchet distance of two normal distributions."""

import numpy as np
from numpy.typing import NDArray

from dcae_export.evaluation.moments import Gaussian


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Compute |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)), from 0 (Dowson and Landau 1982; arXiv 1706.08500).

    The last trace is the sum of the singular values of A^(1/2) B^(1/2). Unlike a square root of the product A B, that
    needs neither an inverse nor complex numbers, and covariances of fewer samples than dimensions are no exception.
    """
    assert a.mean.shape == b.mean.shape
    shift = a.mean - b.mean
    factors = _factor(a.covariance).T @ _factor(b.covariance)
    shared = float(np.linalg.svd(factors, compute_uv=False).sum())
    spread = float(np.trace(a.covariance) + np.trace(b.covariance)) - 2 * shared
    # Of equal distributions, rounding may leave less than nothing.
    return max(0.0, float(shift @ shift) + spread)


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """F of (D, rank) with F F^T = covariance; what rounding alone may have made of an eigenvalue of 0 is left out."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > len(values) * np.finfo(np.float64).eps * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])
