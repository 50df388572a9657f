"""DPM-Solver++ in steps that stand alone: Lu et al., arXiv 2211.01095, algorithm 1 (2S).

The sampler of the official U-ViT code, which adds a step of third order: time uniform between 1 and
1 / train_steps, third order, and what is left of the evaluations in steps of lower order at the end, where they
cost least. A step's inner evaluations lie on the grid of the evaluations. There is no last step to clean data.
"""

import math

from dcae_export.sampling.schedule import Diffusion, Level, data_coefficients
from dcae_export.sampling.spacing import uniform_time
from dcae_export.sampling.table import Row, Table


def singlestep(evaluations: int, diffusion: Diffusion) -> Table:
    """Steps of order 3, then of what is left; for schedules with betas."""
    levels = uniform_time(diffusion.schedule, evaluations)
    rows: list[Row] = []
    first = 0
    for order in _orders(evaluations):
        rows += _step(levels[first : first + order + 1], diffusion, begins_run=first == 0)
        first += order
    return Table(init=1.0, rows=tuple(rows))


def _orders(evaluations: int) -> list[int]:
    """The orders of the steps; as many evaluations as their sum."""
    threes, left = divmod(evaluations, 3)
    if left == 0:
        return [3] * (threes - 1) + [2, 1]
    return [3] * threes + [left]


def _step(levels: list[Level], diffusion: Diffusion, *, begins_run: bool) -> list[Row]:
    """One step from the first level to the last, with an evaluation at each level but the last."""
    here = levels[0]
    rows: list[Row] = []
    for evaluated, there in enumerate(levels[1:], start=1):
        begins_step = evaluated == 1
        rows.append(
            Row(
                t=levels[evaluated - 1].t,
                m=data_coefficients(diffusion, levels[evaluated - 1]),
                x=(there.noise / here.noise, *_weights(levels, evaluated)),
                base="x" if there is levels[-1] else None,
                start=(here.signal, here.noise) if begins_step and not begins_run else None,
            )
        )
    return rows


def _weights(levels: list[Level], evaluated: int) -> tuple[float, ...]:
    """The coefficients of the step's predictions, most recent first, in the state at level ``evaluated``.

    That state comes from the prediction m0 at the first level and, from the second evaluation on, from the
    slope between m0 and the most recent prediction.
    """
    here, latest, there = levels[0], levels[evaluated - 1], levels[evaluated]
    h = there.half_log_snr - here.half_log_snr
    held = -there.signal * math.expm1(-h)
    if evaluated == 1:
        return (held,)
    # h over the distance between the two predictions.
    ratio = h / (latest.half_log_snr - here.half_log_snr)
    if len(levels) == 3:
        slope = 0.5 * held * ratio
        return slope, held - slope
    slope = there.signal * (math.expm1(-h) / h + 1) * ratio
    between = (0.0,) * (evaluated - 2)
    return slope, *between, held - slope
