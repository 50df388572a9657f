"""Networks to sample with: the perfect one for normally distributed data, and a nonlinear one near it.

For data with one mean and one standard deviation the best prediction and the exact solution of the probability
flow are known in closed form. The schedules are written a second time here, from their definitions.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcae_export.sampling.noise import latent_noise
from dcae_export.sampling.schedule import Diffusion, Schedule
from dcae_export.sampling.table import Table, sample

Network = Callable[[NDArray[np.float32], float], NDArray[np.float32]]

LINEAR = Schedule(kind="linear", beta_start=1e-4, beta_end=0.02, train_steps=1000, shift=1)
SCALED = Schedule(
    kind="scaled_linear", beta_start=0.00085, beta_end=0.012, train_steps=1000, shift=1
)
FLOW = Schedule(kind="flow", beta_start=None, beta_end=None, train_steps=1000, shift=1)
SHIFTED_FLOW = Schedule(kind="flow", beta_start=None, beta_end=None, train_steps=1000, shift=3)

DIT = Diffusion(prediction="epsilon", learned_variance=True, schedule=LINEAR)
PLAIN_DIT = Diffusion(prediction="epsilon", learned_variance=False, schedule=LINEAR)
UVIT = Diffusion(prediction="epsilon", learned_variance=False, schedule=SCALED)
DATA_UVIT = Diffusion(prediction="x0", learned_variance=False, schedule=SCALED)
SIT = Diffusion(prediction="velocity", learned_variance=False, schedule=FLOW)
SHIFTED_SIT = Diffusion(prediction="velocity", learned_variance=False, schedule=SHIFTED_FLOW)

SHAPE = (4, 6, 5)


def noise_of(seed: int, shape: tuple[int, ...] = SHAPE) -> Callable[[int], NDArray[np.float32]]:
    """The noise streams of one image."""
    return lambda stream: latent_noise(seed, stream=stream, shape=shape)


def cumulative_alphas(schedule: Schedule) -> NDArray[np.float64]:
    """The product of 1 - beta up to each index."""
    first, last, steps = schedule.beta_start, schedule.beta_end, schedule.train_steps
    share = np.arange(steps) / (steps - 1)
    if schedule.kind == "linear":
        betas = first + share * (last - first)
    else:
        betas = (math.sqrt(first) + share * (math.sqrt(last) - math.sqrt(first))) ** 2
    return np.exp(np.cumsum(np.log1p(-betas)))


def level_at(schedule: Schedule, t: float) -> tuple[float, float]:
    """The shares of data and noise at what a network is given as t."""
    if schedule.kind == "flow":
        return t, 1 - t
    # DiT counts its levels from 0, U-ViT from 1.
    index = t - (schedule.kind == "scaled_linear")
    logs = 0.5 * np.log(cumulative_alphas(schedule))
    signal = math.exp(np.interp(index, np.arange(len(logs)), logs))
    return signal, math.sqrt(1 - signal**2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaussian:
    """Independent, normally distributed elements."""

    mean: float
    std: float

    def scale(self, signal: float, noise: float) -> float:
        """The standard deviation of a state."""
        return math.hypot(signal * self.std, noise)

    def data(self, state: NDArray, signal: float, noise: float) -> NDArray[np.float64]:
        """The expected data of a state."""
        gain = signal * (self.std / self.scale(signal, noise)) ** 2
        return self.mean + gain * (state.astype(np.float64) - signal * self.mean)

    def epsilon(self, state: NDArray, signal: float, noise: float) -> NDArray[np.float64]:
        """The expected noise of a state."""
        gain = noise / self.scale(signal, noise) ** 2
        return gain * (state.astype(np.float64) - signal * self.mean)

    def flow(
        self, state: NDArray, here: tuple[float, float], there: tuple[float, float]
    ) -> NDArray[np.float64]:
        """Where the probability flow carries a state from one level to another."""
        unit = (state.astype(np.float64) - here[0] * self.mean) / self.scale(*here)
        return there[0] * self.mean + self.scale(*there) * unit

    def network(self, diffusion: Diffusion) -> Network:
        """The network that predicts perfectly, without variances."""

        def predict(state: NDArray[np.float32], t: float) -> NDArray[np.float32]:
            level = level_at(diffusion.schedule, t)
            match diffusion.prediction:
                case "epsilon":
                    output = self.epsilon(state, *level)
                case "x0":
                    output = self.data(state, *level)
                case "velocity":
                    output = self.data(state, *level) - self.epsilon(state, *level)
            return output.astype(np.float32)

        return predict


def wavy(state: NDArray, time: float) -> NDArray:
    """A smooth nonlinear function between -1 and 1, in the precision of the state."""
    return np.tanh(0.9 * state.astype(np.float64) + math.sin(5 * time)).astype(state.dtype)


def wavy_network(diffusion: Diffusion) -> Callable[[NDArray, float], NDArray]:
    """A nonlinear network whose runs stay near 1: a perfect one with a wave, in the precision of the state."""
    gaussian = Gaussian(mean=0.3, std=0.9)

    def predict(state: NDArray, t: float) -> NDArray:
        signal, noise = level_at(diffusion.schedule, t)
        data = gaussian.data(state, signal, noise)
        epsilon = gaussian.epsilon(state, signal, noise)
        wave = 0.3 * wavy(state.astype(np.float64), noise)
        match diffusion.prediction:
            case "epsilon":
                # A wave that did not fade with the signal would be divided by it.
                output = epsilon + signal * wave
            case "x0":
                output = data + wave
            case "velocity":
                output = data - epsilon + wave
        return output.astype(state.dtype)

    return predict


def states_of(table: Table, network: Network, **options) -> list[NDArray[np.float32]]:
    """The states that a run hands to the network, and its result."""
    states: list[NDArray[np.float32]] = []

    def recording(state: NDArray[np.float32], t: float) -> NDArray[np.float32]:
        states.append(state.copy())
        return network(state, t)

    result = sample(table, network=recording, **options)
    return [*states, result]


def relative_error(actual: NDArray, expected: NDArray) -> float:
    """The largest difference as a share of the largest value."""
    return float(np.max(np.abs(actual - expected)) / np.max(np.abs(expected)))


def report(what: str, figure: float, kind: str = "relative error") -> None:
    """Show what was measured, where pytest runs with -s."""
    print(f"measured: {what}: {kind} {figure:.2g}")  # noqa: T201 - docs/samplers.md is written from it
