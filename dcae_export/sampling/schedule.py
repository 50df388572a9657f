"""Noise schedules: how much data and how much noise a state holds, and what a network is told of it.

A state is ``signal * data + noise * z`` with z standard normal. Schedules with betas (Ho et al., arXiv
2006.11239) keep signal^2 + noise^2 = 1 and name a level by the index of the last beta that was applied; flows
(Ma et al., "SiT", arXiv 2401.08740) have signal t and noise 1 - t, from pure noise at t = 0 to data at t = 1.
Everything is float64.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import ConfigError

ScheduleKind = Literal["linear", "scaled_linear", "flow"]
Prediction = Literal["epsilon", "velocity", "x0"]

MAX_TRAIN_STEPS = 100_000
"""A hundred times what is published; schedules are arrays of that length."""

# A smaller share of data or noise is lost in the rounding of a float32 state, and tables divide by both.
_LEAST_SHARE = 1e-6
_SHIFTS = (1e-3, 1e3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A noise schedule.

    ``linear`` betas are evenly spaced from ``beta_start`` to ``beta_end``, ``scaled_linear`` ones have evenly
    spaced square roots; a ``flow`` has none. ``train_steps`` is the number of betas. A flow uses it only to say
    where solvers that cannot start from pure noise begin: at noise 1 - 1 / train_steps. ``shift`` moves the
    levels that a flow's solvers visit towards noise (``shifted``), at most a thousandfold in either direction; it
    is 1 for schedules with betas. Every trained level of those has shares of data and noise of 1e-6 at least.

    Raises:
        ConfigError: The values contradict each other or are out of range.
    """

    kind: ScheduleKind
    beta_start: float | None
    beta_end: float | None
    train_steps: int
    shift: float

    def __post_init__(self) -> None:
        if not 2 <= self.train_steps <= MAX_TRAIN_STEPS:
            raise ConfigError(
                f"a schedule has at least 2 training steps and at most {MAX_TRAIN_STEPS}, got {self.train_steps}"
            )
        if not _SHIFTS[0] <= self.shift <= _SHIFTS[1]:
            raise ConfigError(
                f"a schedule's shift is a positive number from {_SHIFTS[0]:g} to {_SHIFTS[1]:g}, got {self.shift}"
            )
        if self.kind == "flow":
            if (self.beta_start, self.beta_end) != (None, None):
                raise ConfigError("a flow has no betas; beta_start and beta_end are null")
            return
        if self.beta_start is None or self.beta_end is None:
            raise ConfigError(f"a {self.kind} schedule needs beta_start and beta_end")
        if self.shift != 1:
            raise ConfigError(f"only a flow is shifted; shift is 1, got {self.shift}")
        self._check_betas(self.beta_start, self.beta_end)

    def _check_betas(self, first: float, last: float) -> None:
        if not 0 < first <= last < 1:
            raise ConfigError(f"betas rise between 0 and 1, got {first} to {last}")
        if math.sqrt(first) < _LEAST_SHARE:
            raise ConfigError(f"a beta of {first} adds no noise that float32 could hold")
        if math.sqrt(alphas_cumprod(self)[-1]) < _LEAST_SHARE:
            raise ConfigError(
                f"{self.train_steps} betas from {first} to {last} leave no data that float32 could hold"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Diffusion:
    """What a network predicts, over which schedule.

    ``epsilon`` is the noise z, ``x0`` the data, ``velocity`` data - z, the derivative of a flow's state by its
    t; velocity goes with a flow and nothing else does. With ``learned_variance`` the network has as many
    channels again, which say where between its two bounds the log-variance of a reverse step lies.

    Raises:
        ConfigError: The prediction or the learned variance does not go with the schedule.
    """

    prediction: Prediction
    learned_variance: bool
    schedule: Schedule

    def __post_init__(self) -> None:
        if (self.prediction == "velocity") != (self.schedule.kind == "flow"):
            raise ConfigError(
                f"velocity is predicted over a flow, epsilon and x0 over betas; "
                f"got {self.prediction} over {self.schedule.kind}"
            )
        if self.learned_variance and self.schedule.kind == "flow":
            raise ConfigError("a flow has no variance to learn; learned_variance is false")

    @property
    def timesteps(self) -> tuple[float, float]:
        """The least and the greatest time that the network is given."""
        if self.schedule.kind == "flow":
            return 0.0, 1.0
        last = self.schedule.train_steps - 1
        return network_timestep(self.schedule, 0), network_timestep(self.schedule, last)


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One noise level: what the network is given there, and the shares of data and noise in the state."""

    t: float
    signal: float
    noise: float

    @property
    def half_log_snr(self) -> float:
        """ln(signal / noise), the lambda of DPM-Solver (Lu et al., arXiv 2206.00927); for noise above 0."""
        return math.log(self.signal / self.noise)


def betas(schedule: Schedule) -> NDArray[np.float64]:
    """The variance that each training step adds, (train_steps,); for schedules with betas."""
    first, last, steps = schedule.beta_start, schedule.beta_end, schedule.train_steps
    assert first is not None
    assert last is not None
    if schedule.kind == "linear":
        return np.linspace(first, last, steps, dtype=np.float64)
    roots = np.linspace(math.sqrt(first), math.sqrt(last), steps, dtype=np.float64)
    return roots * roots


def alphas_cumprod(schedule: Schedule) -> NDArray[np.float64]:
    """signal^2 after each training step, (train_steps,); for schedules with betas."""
    return np.cumprod(1 - betas(schedule), dtype=np.float64)


def index_levels(schedule: Schedule, indices: Iterable[int]) -> list[Level]:
    """The levels of trained indices, from 0 to train_steps - 1; index -1 is clean data."""
    # Index -1 finds the last entry.
    signal_squared = np.append(alphas_cumprod(schedule), 1.0)
    return [
        Level(
            t=network_timestep(schedule, index),
            signal=math.sqrt(signal_squared[index]),
            noise=math.sqrt(1 - signal_squared[index]),
        )
        for index in indices
    ]


def continuous_levels(schedule: Schedule, times: Iterable[float]) -> list[Level]:
    """The levels of real times: index i stands at (i + 1) / train_steps, ln(signal) is linear in between.

    That is how the official code of U-ViT continues its schedule.

    Args:
        schedule: One with betas.
        times: From 1 / train_steps to 1.
    """
    knots = np.arange(schedule.train_steps)
    log_signals = 0.5 * np.log(alphas_cumprod(schedule))
    indices = [time * schedule.train_steps - 1 for time in times]
    logs = np.interp(indices, knots, log_signals)
    return [
        Level(
            t=network_timestep(schedule, index),
            signal=math.exp(log),
            noise=math.sqrt(-math.expm1(2 * log)),
        )
        for index, log in zip(indices, logs.tolist(), strict=True)
    ]


def continuous_index(schedule: Schedule, signal: float) -> float:
    """The real index at which ``continuous_levels`` has this signal; the nearest end beyond the ends."""
    knots = np.arange(schedule.train_steps)
    log_signals = 0.5 * np.log(alphas_cumprod(schedule))
    return float(np.interp(math.log(signal), log_signals[::-1], knots[::-1]))


def flow_level(noise: float) -> Level:
    """A flow's level with this share of noise, in [0, 1]."""
    return Level(t=1 - noise, signal=1 - noise, noise=noise)


def shifted(schedule: Schedule, noise: float) -> float:
    """Move a flow's share of noise by the schedule's shift s: s n / (1 + (s - 1) n).

    Esser et al., arXiv 2403.03206, equation 23. 0 and 1 stay where they are.
    """
    # In this form 1 stays 1 for any shift, and noise what it is for a shift of 1.
    return schedule.shift * noise / ((1 - noise) + schedule.shift * noise)


def network_timestep(schedule: Schedule, index: float) -> float:
    """The number by which the network was trained to know the level of an index (a real one lies between two).

    DiT, over linear betas, counts from 0 to train_steps - 1; U-ViT, over scaled linear ones, from 1 to
    train_steps.
    """
    return index if schedule.kind == "linear" else index + 1


def data_coefficients(diffusion: Diffusion, level: Level) -> tuple[float, float]:
    """The (p, q) with which p * state + q * output is the data that the network predicts at a level.

    The signal has to be above 0, but for a velocity.
    """
    match diffusion.prediction:
        case "epsilon":
            return 1 / level.signal, -level.noise / level.signal
        case "x0":
            return 0.0, 1.0
        case "velocity":
            return 1.0, level.noise
