"""Mean and covariance of features that come a batch at a time, in several processes."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import ParityError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Gaussian:
    """A normal distribution: ``mean`` (D,) and ``covariance`` (D, D), both float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


@dataclass(kw_only=True, slots=True, eq=False)
class Moments:
    """The first two moments of the vectors that were added, in float64.

    Kept as the count, the mean (D,) and the sum of products of deviations from it (D, D), which two sets join
    without the cancellation of plain sums of squares (Chan, Golub and LeVeque 1983).
    """

    count: int
    mean: NDArray[np.float64]
    deviations: NDArray[np.float64]

    @classmethod
    def empty(cls, size: int) -> Self:
        """Of no vector yet; they will have ``size`` values."""
        return cls(count=0, mean=np.zeros(size), deviations=np.zeros((size, size)))

    def add(self, features: NDArray[np.float32]) -> None:
        """Take vectors in.

        Args:
            features: (N, D).

        Raises:
            ParityError: A value is not finite.
        """
        if not len(features):
            return
        vectors = features.astype(np.float64)
        if not np.isfinite(vectors).all():
            raise ParityError(
                "features of a picture are not finite; check the weights of the metric's network"
            )
        mean = vectors.mean(axis=0)
        step = self._move_mean(len(vectors), mean)
        # One product for both: the deviations inside the batch, and those of the two means.
        rows = np.concatenate([vectors - mean, step[None]])
        self.deviations += rows.T @ rows

    def merge(self, other: "Moments") -> None:
        """Take in the vectors of another set."""
        if not other.count:
            return
        step = self._move_mean(other.count, other.mean)
        self.deviations += other.deviations
        self.deviations += np.outer(step, step)

    def gaussian(self) -> Gaussian:
        """The distribution with these vectors' mean and unbiased covariance, of at least two of them."""
        assert self.count > 1
        return Gaussian(mean=self.mean, covariance=self.deviations / (self.count - 1))

    def _move_mean(self, count: int, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Count vectors of a mean in; the vector whose outer square the joined deviations have in addition."""
        total = self.count + count
        step = mean - self.mean
        weighted = step * math.sqrt(self.count * (count / total))
        self.mean = self.mean + step * (count / total)
        self.count = total
        return weighted
