"""Where the parts of a drawn histogram lie."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dcae_export.evaluation.histogram import Histogram, Step, histogram

# As many labels of seven digits fit side by side.
_MAX_X_LABELS: Final = 8
_Y_STEPS: Final = 4
# Between neighbouring bars.
_GAP: Final = 1.5
# A hundredth of a unit is below what a screen shows.
_DECIMALS: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A drawing's size and the rectangle that its axes span, in its own units."""

    width: int
    height: int
    left: int
    right: int
    top: int
    base: int


FRAME: Final = Frame(width=480, height=200, left=52, right=464, top=26, base=174)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bin: its bar's upper left corner and size, and what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HistogramPlot:
    """A quantity's values, one for each picture, laid out in ``FRAME``; ``median`` is a place on the x axis."""

    caption: str
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    median: float


def draw_histogram(values: tuple[float, ...]) -> HistogramPlot | None:
    """Lay out a histogram, None where no value is finite; values that are not are counted in the caption."""
    finite = tuple(value for value in values if math.isfinite(value))
    if not finite:
        return None
    bins = histogram(finite)
    low, median, high = (float(value) for value in np.percentile(finite, (5, 50, 95)))
    caption = (
        f"{len(finite):,} drawn: median {median:.4g}, nine in ten from {low:.4g} to {high:.4g}"
    )
    if len(finite) < len(values):
        caption += f"; {len(values) - len(finite):,} not finite"
    step = Step.at_least(max(1.0, max(bins.counts) / _Y_STEPS))
    # No bar ends above the highest line.
    num_steps = math.ceil(max(bins.counts) / step.size)
    height = (FRAME.base - FRAME.top) / (num_steps * step.size)
    return HistogramPlot(
        caption=caption,
        bars=_bars(bins, height),
        x_ticks=_x_ticks(bins),
        y_ticks=tuple(
            Tick(at=round(FRAME.base - n * step.size * height, _DECIMALS), label=step.label(n))
            for n in range(num_steps + 1)
        ),
        median=_x(bins, median / bins.step.size - bins.first),
    )


def _x(bins: Histogram, edge: float) -> float:
    """Where an edge lies, counted from the first one."""
    return round(FRAME.left + edge * (FRAME.right - FRAME.left) / len(bins.counts), _DECIMALS)


def _bars(bins: Histogram, height: float) -> tuple[Bar, ...]:
    """A bar for each bin, ``height`` high for each picture in it."""
    width = (FRAME.right - FRAME.left) / len(bins.counts)
    labels = [bins.step.label(bins.first + i) for i in range(len(bins.counts) + 1)]
    return tuple(
        Bar(
            x=round(_x(bins, i) + _GAP / 2, _DECIMALS),
            y=round(FRAME.base - count * height, _DECIMALS),
            width=round(width - _GAP, _DECIMALS),
            height=round(count * height, _DECIMALS),
            label=f"{labels[i]} to {labels[i + 1]}: {count:,}",
        )
        for i, count in enumerate(bins.counts)
    )


def _x_ticks(bins: Histogram) -> tuple[Tick, ...]:
    """Labels at every n-th edge, at multiples of n steps."""
    num_edges = len(bins.counts) + 1
    every = next(n for n in (1, 2, 5) if num_edges <= n * _MAX_X_LABELS)
    return tuple(
        Tick(at=_x(bins, i), label=bins.step.label(bins.first + i))
        for i in range(num_edges)
        if (bins.first + i) % every == 0
    )
