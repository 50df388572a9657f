"""What was measured as figures: means over pictures, and Fréchet distances, each with what a reader must know."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dcae_export.evaluation.frechet import frechet_distance
from dcae_export.evaluation.moments import Gaussian, Moments
from dcae_export.evaluation.published import Published
from dcae_export.evaluation.result import Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """What a figure is called, and which way is better.

    ``missing`` says why it is not measured, None where it is. ``is_random`` is whether the metric's own network has
    random weights: what it finds is a trial of the way to a figure and no value, and stands beside nothing that was
    published.
    """

    name: str
    better: Literal["lower", "higher"]
    unit: str = ""
    missing: str | None = None
    is_random: bool = False
    published: Published | None = None

    def figure(self, value: float | None, *, count: int, note: str = "") -> Figure:
        """The figure; a value of None needs the note that says why."""
        trial = f"random weights, so no {self.name}" if self.is_random else ""
        return Figure(
            name=self.name,
            value=None if self.is_random else value,
            trial=value if self.is_random else None,
            count=count,
            better=self.better,
            unit=self.unit,
            note="; ".join(part for part in (trial, note) if part),
            published=None if self.is_random else self.published,
        )


def mean_figure(metric: Metric, values: Sequence[float]) -> Figure:
    """The mean of a value for each picture; none where one of them is infinite, as the PSNR of equal pictures."""
    if metric.missing is not None:
        return metric.figure(None, count=0, note=metric.missing)
    if not values:
        return metric.figure(None, count=0, note="no picture could be read")
    infinite = sum(not math.isfinite(value) for value in values)
    if infinite:
        return metric.figure(
            None, count=len(values), note=f"infinite for {infinite} of {len(values)} pictures"
        )
    return metric.figure(math.fsum(values) / len(values), count=len(values))


def frechet_figure(
    metric: Metric,
    measured: Moments | None,
    reference: Gaussian | Moments | None,
    *,
    note: str = "",
) -> Figure:
    """The Fréchet distance of the features that were measured to those of a reference."""
    if metric.missing is not None:
        return metric.figure(None, count=0, note=metric.missing)
    if measured is None or reference is None or measured.count < 2:
        return metric.figure(
            None, count=0 if measured is None else measured.count, note="needs two pictures"
        )
    expected = reference.gaussian() if isinstance(reference, Moments) else reference
    few = ""
    if measured.count <= len(measured.mean):
        few = f"only {measured.count} pictures for {len(measured.mean)} features: more would give less"
    return metric.figure(
        frechet_distance(measured.gaussian(), expected),
        count=measured.count,
        note="; ".join(part for part in (few, note) if part),
    )
