import math
from itertools import pairwise

import numpy as np
import pytest

from dcae_export.evaluation.histogram_plot import FRAME, draw_histogram

# Places are rounded to hundredths of a unit.
ROUNDING = 0.02


def drawn(values):
    plot = draw_histogram(tuple(values))
    assert plot is not None
    return plot


def normal(count):
    return np.random.default_rng(0).normal(26.0, 3.0, count).tolist()


def test_heights_are_in_proportion_to_counts_that_sum_to_the_pictures():
    plot = drawn(normal(1000))
    counts = [int(bar.label.rpartition(": ")[2].replace(",", "")) for bar in plot.bars]
    assert sum(counts) == 1000
    tallest = max(plot.bars, key=lambda bar: bar.height)
    for bar, count in zip(plot.bars, counts, strict=True):
        assert bar.height == pytest.approx(tallest.height * count / max(counts), abs=ROUNDING)
        assert bar.y + bar.height == pytest.approx(FRAME.base, abs=ROUNDING)


@pytest.mark.parametrize("count", [1, 2, 5, 50, 1000])
def test_bars_stand_side_by_side_inside_the_frame(count):
    plot = drawn(normal(count))
    edges = [(bar.x, bar.x + bar.width) for bar in plot.bars]
    assert edges[0][0] > FRAME.left
    assert edges[-1][1] < FRAME.right
    assert all(a[1] < b[0] for a, b in pairwise(edges))
    assert min(bar.y for bar in plot.bars) >= FRAME.top


def test_axes_have_few_labels_that_match_their_places():
    values = [value / 40 for value in normal(1000)]
    plot = drawn(values)
    assert 2 <= len(plot.x_ticks) <= 9
    (a, b), (c, d) = (
        [(tick.at, float(tick.label)) for tick in (ticks[0], ticks[-1])]
        for ticks in (plot.x_ticks, plot.y_ticks)
    )
    per_unit = (b[0] - a[0]) / (b[1] - a[1])
    median = a[0] + (float(np.median(values)) - a[1]) * per_unit
    assert plot.median == pytest.approx(median, abs=0.1)
    assert (c, d[0]) == ((FRAME.base, 0.0), FRAME.top)


def test_counts_are_labelled_with_whole_numbers():
    assert [tick.label for tick in drawn([1.0, 2.0]).y_ticks] == ["0", "1"]


def test_the_caption_tells_the_median_and_what_nine_in_ten_lie_between():
    assert drawn(range(101)).caption == "101 drawn: median 50, nine in ten from 5 to 95"


def test_what_is_not_finite_is_told_and_not_drawn():
    plot = drawn([1.0, math.inf, 2.0, math.nan])
    assert plot.caption.endswith("; 2 not finite")
    assert plot.caption.startswith("2 drawn")


@pytest.mark.parametrize("values", [(), (math.inf,), (math.nan, -math.inf)])
def test_without_a_finite_value_there_is_no_plot(values):
    assert draw_histogram(values) is None
