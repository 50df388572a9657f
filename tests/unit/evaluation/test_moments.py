import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcae_export.errors import ParityError
from dcae_export.evaluation.moments import Moments

SIZE = 5
# float64 sums of a hundred numbers, in another order.
ROUNDING = 1e-12


def vectors(count: int, *, seed: int = 0) -> np.ndarray:
    """Float32, correlated, and far from 0: a mean of 1000 deviations is where sums of squares cancel."""
    rng = np.random.default_rng(seed)
    return (1000 + rng.normal(size=(count, SIZE)) @ rng.normal(size=(SIZE, SIZE))).astype("float32")


def moments_of(*batches: np.ndarray) -> Moments:
    moments = Moments.empty(SIZE)
    for batch in batches:
        moments.add(batch)
    return moments


def assert_same(moments: Moments, features: np.ndarray) -> None:
    gaussian = moments.gaussian()
    expected = features.astype(np.float64)
    assert moments.count == len(features)
    np.testing.assert_allclose(gaussian.mean, expected.mean(axis=0), rtol=ROUNDING)
    covariance = np.cov(expected, rowvar=False)
    np.testing.assert_allclose(
        gaussian.covariance, covariance, rtol=0, atol=ROUNDING * np.abs(covariance).max()
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) > 1))
def test_any_batches_give_numpys_mean_and_unbiased_covariance(sizes):
    features = vectors(sum(sizes))
    assert_same(moments_of(*np.split(features, np.cumsum(sizes)[:-1])), features)


@given(st.integers(0, 40))
def test_two_sets_join_to_the_moments_of_both(first):
    features = vectors(40)
    joined = moments_of(features[:first])
    joined.merge(moments_of(features[first:]))
    assert_same(joined, features)


def test_a_set_joined_to_none_is_that_set_bit_for_bit():
    alone = moments_of(vectors(9))
    joined = Moments.empty(SIZE)
    joined.merge(alone)
    joined.merge(Moments.empty(SIZE))
    assert joined.count == alone.count
    assert np.array_equal(joined.mean, alone.mean)
    assert np.array_equal(joined.deviations, alone.deviations)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_never_counted(value):
    moments = moments_of(vectors(3))
    with pytest.raises(ParityError, match="not finite"):
        moments.add(np.full((1, SIZE), value, np.float32))
    assert moments.count == 3
