"""The Fréchet distance: closed forms, and SciPy's square root of a matrix."""

import numpy as np
import pytest
import scipy.linalg

from dcae_export.evaluation.frechet import frechet_distance
from dcae_export.evaluation.moments import Gaussian

# float64 through two decompositions of matrices of up to 24 rows.
ROUNDING = 1e-10
# An eigenvalue of 0 is stored as 1e-16 of the largest one, and its root is taken.
ROUNDED_ROOT = 1e-7


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Gaussian:
    return Gaussian(mean=np.asarray(mean, float), covariance=np.asarray(covariance, float))


def rotation(size: int, *, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def random_gaussian(size: int, *, samples: int, seed: int) -> Gaussian:
    drawn = np.random.default_rng(seed).normal(size=(samples, size)) * np.linspace(0.1, 3, size)
    return gaussian(drawn.mean(axis=0), np.cov(drawn @ rotation(size, seed=seed), rowvar=False))


def test_in_one_dimension_it_is_the_differences_of_mean_and_deviation():
    a, b = gaussian([1.0], [[4.0]]), gaussian([4.0], [[25.0]])
    assert frechet_distance(a, b) == pytest.approx(3**2 + (5 - 2) ** 2, rel=ROUNDING)


def test_of_covariances_with_common_axes_it_is_the_sum_over_the_axes():
    axes = rotation(6, seed=1)
    deviations = np.array([[3, 1, 0.5, 2, 0, 1e-3], [1, 1, 2, 0, 0, 5.0]])
    a, b = (gaussian(np.zeros(6), axes * d**2 @ axes.T) for d in deviations)
    expected = np.square(deviations[0] - deviations[1]).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=ROUNDED_ROOT)


def test_a_scaled_and_shifted_distribution_is_as_far_as_its_points_were_moved():
    a = random_gaussian(8, samples=50, seed=2)
    shift = np.arange(8.0)
    b = gaussian(a.mean + shift, 9 * a.covariance)
    # x becomes 3 x, which is the optimal transport: E|3x - x|^2 = 4 tr A.
    expected = shift @ shift + 4 * np.trace(a.covariance)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_scipys_square_root_gives(seed):
    a, b = (random_gaussian(24, samples=60, seed=2 * seed + n) for n in (0, 1))
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
    shift = a.mean - b.mean
    expected = shift @ shift + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=ROUNDED_ROOT)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=ROUNDED_ROOT)


def test_fewer_samples_than_dimensions_are_no_exception():
    few, many = (random_gaussian(24, samples=n, seed=n) for n in (6, 60))
    factor = np.linalg.cholesky(many.covariance)
    # The same trace by the eigenvalues of L^T A L, which is symmetric: only some are not 0.
    values = np.linalg.eigvalsh(factor.T @ few.covariance @ factor)
    shared = np.sqrt(values[values > 1e-9]).sum()
    shift = few.mean - many.mean
    expected = shift @ shift + np.trace(few.covariance + many.covariance) - 2 * shared
    assert frechet_distance(few, many) == pytest.approx(expected, rel=ROUNDED_ROOT)


@pytest.mark.parametrize("samples", [5, 60])
def test_of_equal_distributions_it_is_nothing_and_never_less(samples):
    a = random_gaussian(24, samples=samples, seed=3)
    assert 0 <= frechet_distance(a, a) < ROUNDING
