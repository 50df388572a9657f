import dataclasses
import math

import numpy as np
import pytest
from gaussian_data import DIT, FLOW, LINEAR, SCALED, SHIFTED_FLOW, SIT, UVIT, cumulative_alphas
from hypothesis import given
from hypothesis import strategies as st

from dcae_export.errors import ConfigError
from dcae_export.sampling.schedule import (
    Level,
    alphas_cumprod,
    betas,
    continuous_index,
    continuous_levels,
    data_coefficients,
    flow_level,
    index_levels,
    network_timestep,
    shifted,
)

# Sums and products of a thousand float64 numbers, in two orders.
FLOAT64 = 1e-11


@pytest.mark.parametrize("schedule", [LINEAR, SCALED], ids=lambda schedule: schedule.kind)
def test_betas_run_from_the_first_to_the_last(schedule):
    variances = betas(schedule)
    assert variances.shape == (1000,)
    assert variances[0] == pytest.approx(schedule.beta_start, rel=FLOAT64)
    assert variances[-1] == pytest.approx(schedule.beta_end, rel=FLOAT64)
    assert alphas_cumprod(schedule) == pytest.approx(cumulative_alphas(schedule), rel=FLOAT64)


def test_linear_betas_and_roots_of_scaled_ones_are_evenly_spaced():
    assert np.ptp(np.diff(betas(LINEAR))) < FLOAT64
    assert np.ptp(np.diff(np.sqrt(betas(SCALED)))) < FLOAT64


def test_an_index_is_one_of_the_trained_levels_and_minus_one_is_clean():
    alphas = cumulative_alphas(LINEAR)
    noisiest, least, clean = index_levels(LINEAR, [999, 0, -1])
    assert (noisiest.t, least.t) == (999, 0)
    assert noisiest.signal == pytest.approx(math.sqrt(alphas[999]), rel=FLOAT64)
    assert least.noise == pytest.approx(math.sqrt(1 - alphas[0]), rel=FLOAT64)
    assert (clean.signal, clean.noise) == (1, 0)


def test_dit_counts_its_levels_from_0_and_uvit_from_1():
    assert (network_timestep(LINEAR, 0), network_timestep(LINEAR, 999)) == (0, 999)
    assert (network_timestep(SCALED, 0), network_timestep(SCALED, 999)) == (1, 1000)


@pytest.mark.parametrize("schedule", [LINEAR, SCALED], ids=lambda schedule: schedule.kind)
def test_real_times_meet_the_trained_levels(schedule):
    indices = [999, 500, 37, 1, 0]
    real = continuous_levels(schedule, [(index + 1) / 1000 for index in indices])
    for found, expected in zip(real, index_levels(schedule, indices), strict=True):
        assert dataclasses.astuple(found) == pytest.approx(
            dataclasses.astuple(expected), rel=FLOAT64, abs=FLOAT64
        )


def test_between_two_levels_the_logarithm_of_the_signal_is_linear():
    before, after = index_levels(SCALED, [499, 500])
    (between,) = continuous_levels(SCALED, [0.50025])
    expected = before.signal**0.75 * after.signal**0.25
    assert between.signal == pytest.approx(expected, rel=FLOAT64)
    assert between.signal**2 + between.noise**2 == pytest.approx(1, rel=FLOAT64)
    assert between.t == pytest.approx(500.25, rel=FLOAT64)


@given(time=st.floats(0.001, 1))
def test_a_real_index_is_found_again_from_its_signal(time: float):
    (level,) = continuous_levels(SCALED, [time])
    assert continuous_index(SCALED, level.signal) + 1 == pytest.approx(1000 * time, rel=1e-9)


def test_half_of_the_logarithmic_snr_is_that_of_the_level():
    level = Level(t=0, signal=0.8, noise=0.6)
    assert level.half_log_snr == pytest.approx(0.5 * math.log(0.64 / 0.36), rel=FLOAT64)


def test_a_flow_level_is_a_mixture():
    level = flow_level(0.25)
    assert (level.t, level.signal, level.noise) == (0.75, 0.75, 0.25)


def test_a_shift_moves_towards_noise_and_keeps_the_ends():
    assert [shifted(SHIFTED_FLOW, noise) for noise in (0, 0.5, 1)] == [0, 0.75, 1]
    assert shifted(FLOW, 0.3) == 0.3


@pytest.mark.parametrize(
    ("diffusion", "level", "expected"),
    [
        (UVIT, Level(t=5, signal=0.8, noise=0.6), (1.25, -0.75)),
        (dataclasses.replace(UVIT, prediction="x0"), Level(t=5, signal=0.8, noise=0.6), (0, 1)),
        (SIT, flow_level(0.25), (1, 0.25)),
    ],
)
def test_predictions_are_converted_to_data(diffusion, level, expected):
    assert data_coefficients(diffusion, level) == pytest.approx(expected, rel=FLOAT64)


@pytest.mark.parametrize(
    ("schedule", "change", "match"),
    [
        (LINEAR, {"beta_end": None}, "needs beta_start and beta_end"),
        (LINEAR, {"beta_start": 0.0}, "betas rise between 0 and 1"),
        (LINEAR, {"beta_start": 0.5}, "betas rise between 0 and 1"),
        (SCALED, {"beta_end": 1.0}, "betas rise between 0 and 1"),
        (SCALED, {"beta_end": math.nan}, "betas rise between 0 and 1"),
        (SCALED, {"shift": 3.0}, "only a flow is shifted"),
        (FLOW, {"beta_start": 0.1}, "a flow has no betas"),
        (FLOW, {"shift": 0.0}, "shift is a positive number"),
        (FLOW, {"shift": math.inf}, "shift is a positive number"),
        (FLOW, {"shift": 1e-9}, "from 0.001 to 1000, got 1e-09"),
        (FLOW, {"train_steps": 1}, "at least 2 training steps"),
        (LINEAR, {"train_steps": 10**9}, "at most 100000, got 1000000000"),
        (LINEAR, {"beta_start": 1e-13}, "a beta of 1e-13 adds no noise"),
        (SCALED, {"beta_end": 0.2}, "1000 betas from 0.00085 to 0.2 leave no data"),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(schedule, change, match):
    with pytest.raises(ConfigError, match=match):
        dataclasses.replace(schedule, **change)


@pytest.mark.parametrize(
    ("diffusion", "change", "match"),
    [
        (DIT, {"prediction": "velocity"}, "got velocity over linear"),
        (SIT, {"prediction": "epsilon"}, "got epsilon over flow"),
        (SIT, {"learned_variance": True}, "no variance to learn"),
    ],
)
def test_a_prediction_that_does_not_go_with_its_schedule_is_refused(diffusion, change, match):
    with pytest.raises(ConfigError, match=match):
        dataclasses.replace(diffusion, **change)
