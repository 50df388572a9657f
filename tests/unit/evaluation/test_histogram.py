import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcae_export.evaluation.histogram import Step, histogram

values = st.floats(min_value=-1e9, max_value=1e9)


@pytest.mark.parametrize(
    ("distance", "mantissa", "exponent"),
    [(1.0, 1, 0), (1.01, 2, 0), (4.9, 5, 0), (5.1, 1, 1), (0.03, 5, -2), (120.0, 2, 2)],
)
def test_a_step_is_the_next_round_distance(distance, mantissa, exponent):
    assert Step.at_least(distance) == Step(mantissa=mantissa, exponent=exponent)


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_a_step_is_never_too_small_and_at_most_two_and_a_half_times_too_large(distance):
    # The widest gap between round numbers is from 2 to 5; the rest is rounding.
    assert distance <= Step.at_least(distance).size <= 2.5 * distance * (1 + 1e-9)


@pytest.mark.parametrize(
    ("step", "multiple", "label"),
    [
        (Step(mantissa=2, exponent=0), 13, "26"),
        (Step(mantissa=5, exponent=-2), 3, "0.15"),
        (Step(mantissa=1, exponent=-1), -3, "-0.3"),
        (Step(mantissa=2, exponent=3), 5, "10,000"),
    ],
)
def test_an_edge_is_labelled_with_the_decimals_of_its_step(step, multiple, label):
    assert step.label(multiple) == label


def test_each_value_is_in_the_bin_between_whose_edges_it_lies():
    bins = histogram((20.1, 20.2, 21.0, 21.9, 23.5))
    assert (bins.step, bins.first) == (Step(mantissa=1, exponent=0), 20)
    assert bins.counts == (2, 2, 0, 1)


@given(st.lists(values, min_size=1, max_size=200))
def test_the_counts_sum_to_the_number_of_values_in_a_bounded_number_of_bins(drawn):
    bins = histogram(tuple(drawn))
    assert sum(bins.counts) == len(drawn)
    assert bins.counts[0] > 0
    assert bins.counts[-1] > 0
    # One more where the lowest value lies inside a bin.
    assert len(bins.counts) <= 2 * math.ceil(math.sqrt(len(drawn))) + 1


@pytest.mark.parametrize("value", [0.0, 1.0, -26.15, 1e-9, 1e9])
def test_equal_values_are_one_bin(value):
    assert histogram((value,) * 7).counts == (7,)
