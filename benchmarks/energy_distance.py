"""The energy distance between two sets of samples: 0 for equal distributions, and for no others.

2 E|X - Y| - E|X - X'| - E|Y - Y'| in Euclidean norms (Szekely and Rizzo, "Energy statistics: A class of statistics
based on distances", 2013, section 2), of the samples' own distributions: each is compared with itself, too. So two
finite sets of one distribution are E|X - X'| (1 / n + 1 / m) apart in the mean, which is the least to be expected.
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating]


def energy_distance(first: Samples, second: Samples) -> float:
    """The distance, in the samples' unit, of (N, ...) and (M, ...): at least 0, and 0 for equal sets.

    Its square root is a metric, which is what SciPy gives for single numbers.
    """
    x, y = (samples.reshape(len(samples), -1).astype(np.float64) for samples in (first, second))
    return 2 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y)


def _mean_distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1) - 2 * x @ y.T
    # Rounding leaves a sample a little below 0 from itself.
    return float(np.sqrt(np.maximum(squares, 0)).mean())
