"""Latents of three classes whose distribution is known, to hold a trained transformer to.

A class is a mixture of normal distributions that share a covariance. Means are waves over the positions, for each in
other shares of the channels. Noise is correlated between channels and, the nearer they are, between positions. The
classes differ in means, weights and covariance, and overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Latents = NDArray[np.float32]
Labels = NDArray[np.int64]

SHAPE = (4, 2, 2)
CLASSES = ("first", "second", "third")

# The means are drawn once; what is drawn from the distribution has seeds of its own.
_SEED = 1
_WAVE_RMS = 0.4
_LONGEST_FREQUENCY = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """Normal distributions of D numbers: ``weights`` (K,), ``means`` (K, D), and one ``covariance`` (D, D)."""

    weights: Array
    means: Array
    covariance: Array

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Independent samples, (count, D)."""
        component = generator.choice(len(self.weights), size=count, p=self.weights)
        noise = generator.standard_normal((count, self.means.shape[1]))
        return self.means[component] + noise @ np.linalg.cholesky(self.covariance).T

    def log_density(self, x: Array) -> Array:
        """The logarithm of the density at each row of ``x``, (N, D) to (N,)."""
        return np.logaddexp.reduce(self._log_densities(x), axis=0)

    def origin(self, state: Array, *, signal: float, noise: float) -> tuple[Array, Array]:
        """The means of the data and of the noise, standard normals, that ``state`` is ``signal`` and ``noise`` of.

        Each is (N, D), as ``state`` is.
        """
        noisy = Mixture(
            weights=self.weights,
            means=signal * self.means,
            covariance=signal**2 * self.covariance + noise**2 * np.eye(state.shape[1]),
        )
        shares = noisy._log_densities(state)
        shares = np.exp(shares - np.logaddexp.reduce(shares, axis=0))
        rest = np.linalg.solve(noisy.covariance, (state - noisy.means[:, None]).swapaxes(1, 2))
        rest = rest.swapaxes(1, 2)
        data = np.einsum(
            "kn,kni->ni", shares, self.means[:, None] + signal * rest @ self.covariance
        )
        return data, noise * np.einsum("kn,kni->ni", shares, rest)

    def _log_densities(self, x: Array) -> Array:
        """Of each component the logarithm of its weight times its density, (K, N)."""
        factor = np.linalg.cholesky(self.covariance)
        log_determinant = 2 * np.log(np.diag(factor)).sum()
        exponents = [
            np.log(weight) - 0.5 * np.square(np.linalg.solve(factor, (x - mean).T)).sum(axis=0)
            for weight, mean in zip(self.weights, self.means, strict=True)
        ]
        return np.stack(exponents) - 0.5 * (x.shape[1] * np.log(2 * np.pi) + log_determinant)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyDistribution:
    """Equally many latents of each class: ``mixtures`` by label, over latents flattened from ``shape``."""

    shape: tuple[int, int, int]
    mixtures: Sequence[Mixture]

    def draw(self, labels: Labels, generator: np.random.Generator) -> Latents:
        """A latent of each label, (N, C, h, w)."""
        latents = np.empty((len(labels), *self.shape), np.float32)
        for label, mixture in enumerate(self.mixtures):
            chosen = labels == label
            drawn = mixture.draw(int(chosen.sum()), generator)
            latents[chosen] = drawn.reshape(-1, *self.shape)
        return latents

    def origin(
        self, state: Latents, labels: Labels, *, signal: float, noise: float
    ) -> tuple[Latents, Latents]:
        """The mean latent of each label, and the mean noise, that ``state`` is ``signal`` and ``noise`` of."""
        flat = state.reshape(len(state), -1).astype(np.float64)
        data, added = np.empty_like(flat), np.empty_like(flat)
        for label, mixture in enumerate(self.mixtures):
            chosen = labels == label
            data[chosen], added[chosen] = mixture.origin(flat[chosen], signal=signal, noise=noise)
        return tuple(mean.reshape(state.shape).astype(np.float32) for mean in (data, added))

    def classify(self, latents: Latents) -> Labels:
        """The most probable class of each latent: no classifier errs less often (Bayes)."""
        flat = latents.reshape(len(latents), -1).astype(np.float64)
        return np.argmax([mixture.log_density(flat) for mixture in self.mixtures], axis=0)


def toy_distribution() -> ToyDistribution:
    """The one that trainings are held to, of ``SHAPE`` and ``CLASSES``."""
    generator = np.random.default_rng(_SEED)
    return ToyDistribution(
        shape=SHAPE,
        mixtures=(
            _mixture((0.7, 0.3), generator, noise=0.8, channels=0.2, neighbours=0.7),
            _mixture((0.5, 0.3, 0.2), generator, noise=0.7, channels=0.4, neighbours=0.6),
            _mixture((0.6, 0.4), generator, noise=0.6, channels=0.0, neighbours=0.5),
        ),
    )


def labels_in_turn(count: int) -> Labels:
    """``count`` labels of which each class has as many, but for one."""
    return np.arange(count, dtype=np.int64) % len(CLASSES)


def _mixture(
    weights: tuple[float, ...],
    generator: np.random.Generator,
    *,
    noise: float,
    channels: float,
    neighbours: float,
) -> Mixture:
    """Noise of a standard deviation and of two correlations: between channels, and between neighbouring positions."""
    count, rows, columns = SHAPE
    places = np.stack(np.mgrid[:rows, :columns], axis=-1).reshape(-1, 2)
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    between_channels = (1 - channels) * np.eye(count) + channels
    return Mixture(
        weights=np.array(weights),
        means=np.stack([_wave(generator, places) for _ in weights]),
        covariance=noise**2 * np.kron(between_channels, neighbours**distances),
    )


def _wave(generator: np.random.Generator, places: NDArray[np.int64]) -> Array:
    """A wave of half a period over the latent at most, in drawn shares of the channels, flattened."""
    count, rows, columns = SHAPE
    frequency = generator.uniform(-_LONGEST_FREQUENCY, _LONGEST_FREQUENCY, size=2)
    phase = generator.uniform(0, 2 * np.pi)
    plane = np.cos(2 * np.pi * (places / (rows, columns)) @ frequency + phase)
    wave = np.outer(generator.standard_normal(count), plane).reshape(-1)
    return wave * (_WAVE_RMS / np.sqrt(np.square(wave).mean()))
