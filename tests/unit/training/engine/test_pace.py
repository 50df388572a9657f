import pytest

from dcae_export.training.engine.pace import Pace


def test_the_pace_is_that_of_the_last_twenty_steps():
    now = 0.0
    pace = Pace(clock=lambda: now)
    for _ in range(30):
        now += 10
        pace.step(samples=5)
        assert (pace.seconds_per_step, pace.samples_per_second) == (10, 0.5)
    for _ in range(19):
        now += 1
        pace.step(samples=5)
    now += 1
    pace.step(samples=5)
    assert (pace.seconds_per_step, pace.samples_per_second) == (1, 5)


def test_steps_of_unlike_size_are_counted_as_they_are():
    now = 0.0
    pace = Pace(clock=lambda: now)
    for samples in (64, 16, 4):
        now += 2
        pace.step(samples=samples)
    assert pace.samples_per_second == pytest.approx(84 / 6)
