import math

import numpy as np
import pytest
import scipy.stats

from benchmarks.energy_distance import energy_distance

SIZE = 2000
# Distances have a standard deviation of their own; over 2000 samples its mean is this well known, generously.
SAMPLING = 0.05


def normal(count, *, scale=1.0, mean=0.0, dimensions=5, seed=0):
    return mean + scale * np.random.default_rng(seed).standard_normal((count, dimensions))


def mean_norm(variance, dimensions):
    """E|X| of independent normals of a variance: that of the chi distribution."""
    ratio = math.exp(math.lgamma((dimensions + 1) / 2) - math.lgamma(dimensions / 2))
    return math.sqrt(2 * variance) * ratio


def test_single_numbers_are_as_far_as_scipy_says():
    x, y = (normal(n, scale=s, dimensions=1, seed=n) for n, s in ((40, 1.0), (70, 2.5)))
    expected = scipy.stats.energy_distance(x[:, 0], y[:, 0])
    assert math.sqrt(energy_distance(x, y)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("first", "second"), [(1.0, 1.5), (1.0, 3.0), (0.5, 1.0)])
def test_normals_of_two_widths_are_as_far_as_the_closed_form_says(first, second):
    dimensions = 5
    terms = ((2, first**2 + second**2), (-1, 2 * first**2), (-1, 2 * second**2))
    expected = sum(sign * mean_norm(variance, dimensions) for sign, variance in terms)
    found = energy_distance(normal(SIZE, scale=first, seed=1), normal(SIZE, scale=second, seed=2))
    least = (mean_norm(2 * first**2, dimensions) + mean_norm(2 * second**2, dimensions)) / SIZE
    assert found == pytest.approx(expected + least, rel=SAMPLING)


def test_far_sets_are_twice_their_distance_apart():
    x = normal(50, scale=1e-3)
    assert energy_distance(x, x + 100 / math.sqrt(5)) == pytest.approx(200, rel=1e-4)


def test_a_set_is_at_itself_in_any_order():
    x = normal(100)
    assert energy_distance(x, x[::-1]) == pytest.approx(0, abs=1e-6)


def test_two_sets_of_one_distribution_are_apart_by_what_their_sizes_leave():
    found = [
        energy_distance(normal(60, seed=2 * n), normal(300, seed=2 * n + 1)) for n in range(60)
    ]
    expected = mean_norm(2, 5) * (1 / 60 + 1 / 300)
    assert np.mean(found) == pytest.approx(expected, abs=5 * np.std(found) / math.sqrt(len(found)))


def test_the_shape_of_a_sample_plays_no_part():
    x, y = normal(20, dimensions=12, seed=1), normal(30, dimensions=12, seed=2)
    shaped = energy_distance(
        x.reshape(20, 3, 2, 2).astype(np.float32), y.reshape(30, 3, 2, 2).astype(np.float32)
    )
    assert shaped == pytest.approx(energy_distance(x, y), rel=1e-5)
