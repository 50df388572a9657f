import itertools
import math

import numpy as np
import pytest
from gaussian_data import FLOW, LINEAR, SCALED, SHIFTED_FLOW, cumulative_alphas
from hypothesis import given
from hypothesis import strategies as st

from dcae_export.sampling.spacing import (
    flow,
    flow_with_signal,
    karras,
    respaced,
    trailing,
    uniform_time,
)

FLOAT64 = 1e-11


def times(levels) -> list[float]:
    return [level.t for level in levels[:-1]]


def test_trailing_indices_end_a_share_before_clean_data():
    assert times(trailing(LINEAR, 4)) == [999, 749, 499, 249]
    assert times(trailing(LINEAR, 3)) == [999, 666, 332]
    assert times(trailing(SCALED, 4)) == [1000, 750, 500, 250]


def test_respaced_indices_have_both_ends():
    found = times(respaced(LINEAR, 250))
    assert found == [round(i * 999 / 249) for i in range(249, -1, -1)]
    assert times(respaced(LINEAR, 1)) == [999]


@pytest.mark.parametrize("spacing", [trailing, respaced])
@given(evaluations=st.integers(1, 1000))
def test_indices_are_trained_ones_and_fall_to_clean_data(spacing, evaluations: int):
    levels = spacing(LINEAR, evaluations)
    found = times(levels)
    assert len(found) == evaluations
    assert found[0] == 999
    assert all(index == int(index) >= 0 for index in found)
    assert all(a > b for a, b in itertools.pairwise(found))
    assert (levels[-1].signal, levels[-1].noise) == (1, 0)


def test_karras_levels_are_even_in_the_seventh_root():
    levels = karras(LINEAR, 20)
    ratios = np.array([level.noise / level.signal for level in levels[:-1]])
    steps = np.diff(ratios ** (1 / 7))
    assert np.ptp(steps) < FLOAT64
    alphas = cumulative_alphas(LINEAR)
    assert ratios[0] == pytest.approx(math.sqrt(1 / alphas[-1] - 1), rel=FLOAT64)
    assert ratios[-1] == pytest.approx(math.sqrt(1 / alphas[0] - 1), rel=FLOAT64)
    assert times(levels)[0] == pytest.approx(999, abs=1e-6)
    assert times(levels)[-1] == pytest.approx(0, abs=1e-6)
    assert (levels[-1].signal, levels[-1].noise) == (1, 0)


def test_uniform_times_run_from_the_noisiest_to_the_least_noisy_level():
    levels = uniform_time(SCALED, 30)
    assert len(levels) == 31
    assert [level.t for level in levels] == pytest.approx(np.linspace(1000, 1, 31), rel=FLOAT64)
    alphas = cumulative_alphas(SCALED)
    assert levels[0].signal == pytest.approx(math.sqrt(alphas[-1]), rel=FLOAT64)
    assert levels[-1].signal == pytest.approx(math.sqrt(alphas[0]), rel=FLOAT64)


def test_a_flow_runs_from_pure_noise_to_data():
    assert [level.t for level in flow(FLOW, 4)] == [0, 0.25, 0.5, 0.75, 1]
    assert [level.noise for level in flow(SHIFTED_FLOW, 2)] == [1, 0.75, 0]


def test_a_flow_for_solvers_that_need_signal_begins_a_training_step_later():
    noises = [level.noise for level in flow_with_signal(FLOW, 3)]
    assert noises == pytest.approx([0.999, 0.666, 0.333, 0], rel=FLOAT64)
    first = flow_with_signal(SHIFTED_FLOW, 3)[0]
    assert first.noise == pytest.approx(3 * 0.999 / (1 + 2 * 0.999), rel=FLOAT64)
