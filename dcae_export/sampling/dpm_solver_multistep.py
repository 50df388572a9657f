"""DPM-Solver++ that reuses earlier evaluations: Lu et al., arXiv 2211.01095, algorithm 2 (2M).

Between two levels the data prediction is taken for a polynomial in lambda = ln(signal / noise), through the last
one, two or three predictions. What the paper leaves open is done as in diffusers' DPMSolverMultistepScheduler
with final_sigmas_type="zero": 2M is the midpoint form, the last step goes to clean data at first order, and below
15 evaluations the last but one uses two predictions at most. So is 3M, whose formula stands in the official code:
its quadratic term has half the weight that third order would need (docs/log.md).
"""

import math

import numpy as np
from numpy.typing import NDArray

from dcae_export.sampling.schedule import Diffusion, Level, data_coefficients
from dcae_export.sampling.spacing import flow_with_signal, karras, trailing
from dcae_export.sampling.table import Row, Table

_MANY_EVALUATIONS = 15


def multistep(evaluations: int, diffusion: Diffusion, *, order: int) -> Table:
    """Trailing spacing over betas; evenly spaced, then shifted noise over a flow.

    Args:
        evaluations: As many steps.
        diffusion: Any.
        order: 2 or 3: how many predictions a step uses once there are as many.
    """
    schedule = diffusion.schedule
    spacing = flow_with_signal if schedule.kind == "flow" else trailing
    return _table(spacing(schedule, evaluations), diffusion, order)


def multistep_karras(evaluations: int, diffusion: Diffusion, *, order: int) -> Table:
    """As ``multistep``, with the spacing of Karras et al.; for schedules with betas."""
    return _table(karras(diffusion.schedule, evaluations), diffusion, order)


def _table(levels: list[Level], diffusion: Diffusion, order: int) -> Table:
    evaluations = len(levels) - 1
    rows: list[Row] = []
    for index, here in enumerate(levels[:-1]):
        reached = min(order, index + 1, _order_near_the_end(evaluations - index, evaluations))
        there = levels[index + 1]
        # The most recent first, as the history is.
        nodes = levels[index::-1][:reached]
        rows.append(
            Row(
                t=here.t,
                m=data_coefficients(diffusion, here),
                x=(there.noise / here.noise, *_weights(nodes, there)),
                base="x",
                start=(here.signal, here.noise) if index > 0 else None,
            )
        )
    return Table(init=1.0, rows=tuple(rows))


def _order_near_the_end(left: int, evaluations: int) -> int:
    if left == 1:
        return 1
    return 2 if left == 2 and evaluations < _MANY_EVALUATIONS else 3


def _weights(nodes: list[Level], there: Level) -> list[float]:
    """The coefficients of the predictions at ``nodes``, most recent first, in the state at ``there``."""
    here = nodes[0]
    held = there.signal - here.signal * there.noise / here.noise
    if len(nodes) == 1:
        return [held]
    h = there.half_log_snr - here.half_log_snr
    predictions = np.eye(len(nodes))
    slope = _slope(nodes[0], nodes[1], h, predictions[0] - predictions[1])
    if len(nodes) == 2:
        return (held * predictions[0] + 0.5 * held * slope).tolist()
    older = _slope(nodes[1], nodes[2], h, predictions[1] - predictions[2])
    r0 = (here.half_log_snr - nodes[1].half_log_snr) / h
    r1 = (nodes[1].half_log_snr - nodes[2].half_log_snr) / h
    curvature = (slope - older) / (r0 + r1)
    first = slope + r0 * curvature
    linear = there.signal * (math.expm1(-h) / h + 1)
    quadratic = there.signal * ((math.expm1(-h) + h) / h**2 - 0.5)
    return (held * predictions[0] + linear * first - quadratic * curvature).tolist()


def _slope(
    newer: Level, older: Level, h: float, change: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A change between two levels, as the change over a step of ``h`` in lambda."""
    return change * h / (newer.half_log_snr - older.half_log_snr)
