"""Which noise levels a solver visits, from the noisiest to the last."""

import math
from fractions import Fraction

import numpy as np

from dcae_export.sampling.schedule import (
    Level,
    Schedule,
    alphas_cumprod,
    continuous_index,
    continuous_levels,
    flow_level,
    index_levels,
    network_timestep,
    shifted,
)

_CLEAN = -1
_KARRAS_RHO = 7.0


def trailing(schedule: Schedule, evaluations: int) -> list[Level]:
    """Evenly spaced indices from the last one, then clean data: evaluations + 1 levels.

    Lin et al., arXiv 2305.08891, table 2; diffusers calls it ``timestep_spacing="trailing"``.
    """
    steps = schedule.train_steps
    indices = [round(Fraction(steps * left, evaluations)) - 1 for left in range(evaluations, 0, -1)]
    return index_levels(schedule, [*indices, _CLEAN])


def respaced(schedule: Schedule, evaluations: int) -> list[Level]:
    """Evenly spaced indices from the last one to 0, then clean data: evaluations + 1 levels.

    As the official code of DiT makes them from "250". A single index is the last one.
    """
    last = schedule.train_steps - 1
    rising = [round(Fraction(i * last, evaluations - 1)) for i in range(evaluations - 1)]
    return index_levels(schedule, [last, *reversed(rising), _CLEAN])


def karras(schedule: Schedule, evaluations: int) -> list[Level]:
    """Even spacing in the seventh root of noise / signal, from the last index to index 0, then clean data.

    Karras et al., arXiv 2206.00364, equation 5. The network is given the real index of each level.
    """
    ratios = np.sqrt(1 / alphas_cumprod(schedule) - 1)
    most, least = (float(ratios[index]) ** (1 / _KARRAS_RHO) for index in (-1, 0))
    roots = np.linspace(most, least, evaluations, dtype=np.float64)
    levels: list[Level] = []
    for root in roots.tolist():
        ratio = root**_KARRAS_RHO
        signal = 1 / math.hypot(1, ratio)
        index = continuous_index(schedule, signal)
        t = network_timestep(schedule, index)
        levels.append(Level(t=t, signal=signal, noise=ratio * signal))
    return [*levels, *index_levels(schedule, [_CLEAN])]


def uniform_time(schedule: Schedule, evaluations: int) -> list[Level]:
    """Evenly spaced real times from 1 to 1 / train_steps: evaluations + 1 levels, the last of them not clean.

    As the official code of U-ViT does ("time_uniform" in DPM-Solver).
    """
    first = 1 / schedule.train_steps
    # In this order both ends are exact.
    shares = [i / evaluations for i in range(evaluations + 1)]
    return continuous_levels(schedule, [(1 - share) + share * first for share in shares])


def flow(schedule: Schedule, steps: int) -> list[Level]:
    """Evenly spaced shares of noise from 1 to 0, then shifted: steps + 1 levels."""
    return [flow_level(shifted(schedule, left / steps)) for left in range(steps, -1, -1)]


def flow_with_signal(schedule: Schedule, evaluations: int) -> list[Level]:
    """As ``flow``, but from noise 1 - 1 / train_steps, for solvers that divide by the signal.

    diffusers calls it ``use_flow_sigmas``.
    """
    most = 1 - 1 / schedule.train_steps
    return [
        flow_level(shifted(schedule, most * left / evaluations))
        for left in range(evaluations, -1, -1)
    ]
