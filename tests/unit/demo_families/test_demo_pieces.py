"""The pieces that families share, against what they are defined as."""

import numpy as np
import pytest

from recipes.demo.canvas import Window, filled, finish, paint
from recipes.demo.edges import coverage, distance_to_lines, steepness
from recipes.demo.oklab import from_oklab, to_oklab
from recipes.demo.palettes import Ramp, colours
from recipes.demo.placement import keep_apart
from recipes.demo.waves import WaveField, wave_line

# Sums of single precision.
ROUNDING = 1e-4


def test_windows_cover_the_pixels_within_reach_and_no_others():
    window = Window.around(10, 0.05, 0.5, 0.2)
    assert (window.rows, window.columns) == (slice(3, 7), slice(0, 3))
    assert window.x.tolist() == [pytest.approx([0.05, 0.15, 0.25])]
    assert Window.around(10, 2.0, 0.5, 0.2).shape == (4, 0)


@pytest.mark.parametrize("side", [32, 256])
def test_a_disc_covers_its_area_at_every_size(side):
    whole = Window.whole(side)
    inside = 0.3 - np.hypot(whole.x - 0.47, whole.y - 0.52)
    # A pixel's edge is not square to most of the disc's.
    assert coverage(inside, side).mean() == pytest.approx(np.pi * 0.3**2, rel=2e-3)


def test_paint_lays_colours_over_what_was_there():
    planes = filled(4, np.zeros(3, np.float32))
    half = np.full((4, 4), 0.5, np.float32)
    paint(planes, Window.whole(4), np.array([1, 0.5, 0], np.float32), half)
    assert finish(planes)[2, 3].tolist() == [128, 64, 0]


def test_distances_to_lines_are_those_to_their_nearest_points():
    line = np.array([[0.2, 0.3], [0.7, 0.4], [0.5, 0.9]], np.float32)
    share = np.linspace(0, 1, 2001)[:, None]
    points = np.concatenate(
        [line[n] + share * (line[n + 1] - line[n]) for n in range(len(line) - 1)]
    )
    whole = Window.whole(24)
    away = np.hypot(whole.x[..., None] - points[:, 0], whole.y[..., None] - points[:, 1])
    expected = np.minimum(away.min(axis=2), 0.25)
    assert distance_to_lines(24, [line], 0.25) == pytest.approx(expected, abs=2e-4)


def test_steepness_turns_values_into_distances():
    whole = Window.whole(64)
    values = 3 * whole.x + 4 * whole.y
    assert steepness(values) == pytest.approx(np.full((64, 64), 5.0), abs=1e-3)


def test_a_field_has_the_same_values_wherever_it_is_asked():
    field = WaveField.draw(np.random.default_rng(0), longest=1.0, shortest=0.1)
    whole = Window.whole(64)
    window = Window.around(64, 0.3, 0.6, 0.1)
    expected = window.of(field.at(whole.x, whole.y))
    assert field.at(window.x, window.y) == pytest.approx(expected, abs=ROUNDING)


def test_a_field_is_the_sum_of_its_waves():
    field = WaveField.draw(np.random.default_rng(1), longest=1.0, shortest=0.4)
    x, y = np.array([[0.3, 0.8]], np.float32), np.array([[0.1], [0.5]], np.float32)
    count = field.amplitudes.shape[1] - 1
    down, right = np.mgrid[-count : count + 1, : count + 1]
    turns = (down * y[..., None, None] + right * x[..., None, None]) / 2
    expected = (field.amplitudes * np.exp(2j * np.pi * turns)).sum(axis=(2, 3)).real
    assert field.at(x, y) == pytest.approx(expected, abs=ROUNDING)


def test_fields_have_mean_0_and_variance_1():
    whole = Window.whole(16)
    draws = [
        WaveField.draw(np.random.default_rng(seed), longest=0.5, shortest=0.1).at(whole.x, whole.y)
        for seed in range(200)
    ]
    assert np.mean(draws) == pytest.approx(0, abs=0.02)
    assert np.var(draws) == pytest.approx(1, abs=0.05)


def test_the_slope_of_a_line_is_that_of_its_values():
    x = np.linspace(0, 1, 2001, dtype=np.float32)[None]
    values, slopes = wave_line(np.random.default_rng(2), x, longest=1.0, shortest=0.2)
    expected = np.gradient(values[0].astype(np.float64), x[0].astype(np.float64))
    # Differences of single precision over steps of 5e-4.
    assert slopes[0, 1:-1] == pytest.approx(expected[1:-1], abs=0.02)


def test_oklab_has_the_published_values_and_a_way_back():
    lab = to_oklab(colours("ffffff ff0000 000000"))
    assert lab[0] == pytest.approx([1, 0, 0], abs=1e-4)
    assert lab[1] == pytest.approx([0.628, 0.225, 0.126], abs=1e-3)
    assert lab[2] == pytest.approx([0, 0, 0], abs=1e-6)
    everything = np.random.default_rng(3).uniform(0, 1, (50, 3)).astype(np.float32)
    assert from_oklab(to_oklab(everything)) == pytest.approx(everything, abs=1e-5)


def test_ramps_pass_through_their_stops():
    stops = colours("102030 a0b0c0 ff8000")
    values = np.array([[-1.0, 0.0, 0.5, 1.0, 2.0]], np.float32)
    found = Ramp(stops).at(values)[:, 0].T
    # A ramp has 1024 steps.
    assert found == pytest.approx(stops[[0, 0, 1, 2, 2]], abs=2e-3)


def test_discs_keep_apart_or_are_left_out():
    discs = keep_apart(np.random.default_rng(4), [0.2] * 40)
    assert 4 <= len(discs) < 40
    for place, disc in enumerate(discs):
        for other in discs[:place]:
            assert np.hypot(disc.x - other.x, disc.y - other.y) >= 0.4
