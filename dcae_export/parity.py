"""Judge how far one array is from its reference: the only place that holds tolerances."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """What two computations of one function may differ by.

    ``relative_l2`` bounds |a - r| / |r| over all elements; ``max_abs`` bounds the worst element as a share
    of the reference's range (max - min).
    """

    relative_l2: float
    max_abs: float
    because: str


FP32 = Tolerance(
    relative_l2=1e-5,
    max_abs=1e-3,
    because="float32 in another summation order: about 1e-6 through sixty convolutions",
)

UINT8 = Tolerance(
    relative_l2=1e-3,
    max_abs=1.5 / 255,
    because="float32 differences turn the rounding of few pixels by one level",
)


def tolerance_of(dtype: str) -> Tolerance:
    """The tolerance for a graph's output of a dtype: "uint8" pictures or "float32" arrays."""
    return UINT8 if dtype == "uint8" else FP32


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How far an array is from its reference, and where it is worst.

    ``max_abs`` is in the reference's units, ``reference_range`` its max - min (255 for pictures); ``psnr_db`` is taken over that
    range and is None where that is no number: equal arrays, a
    constant reference, or a value that is not finite. ``worst`` is the index of the largest difference.
    """

    max_abs: float
    relative_l2: float
    reference_range: float
    psnr_db: float | None
    worst: tuple[int, ...]
    actual_at_worst: float
    expected_at_worst: float

    def within(self, tolerance: Tolerance) -> bool:
        """Whether both bounds hold; False where either array is not finite."""
        return (
            self.relative_l2 <= tolerance.relative_l2
            and self.max_abs <= tolerance.max_abs * self.reference_range
        )

    def __str__(self) -> str:
        return (
            f"relative L2 {self.relative_l2:.1e}, max abs {self.max_abs:.1e} at {list(self.worst)} "
            f"({self.actual_at_worst:.6g} for {self.expected_at_worst:.6g})"
        )


def difference(actual: NDArray[np.generic], expected: NDArray[np.generic]) -> Difference:
    """Compare two arrays of one shape in float64; a value that is not finite counts as infinitely far.

    Raises:
        ValueError: The shapes differ.
    """
    if actual.shape != expected.shape:
        raise ValueError(f"shapes differ: {actual.shape} and {expected.shape}")
    a, r = actual.astype(np.float64), expected.astype(np.float64)
    error = np.abs(a - r)
    error[~np.isfinite(error)] = np.inf
    at = np.unravel_index(int(np.argmax(error)), error.shape)
    worst = tuple(int(i) for i in at)
    max_abs = float(error[at])
    norm = float(np.sqrt(np.square(r).sum()))
    l2 = float(np.sqrt(np.square(error).sum()))
    span = 255.0 if expected.dtype == np.uint8 else float(r.max() - r.min())
    rms = float(np.sqrt(np.mean(np.square(error))))
    return Difference(
        max_abs=max_abs,
        relative_l2=l2 / norm if norm else (0.0 if l2 == 0 else float("inf")),
        reference_range=span,
        psnr_db=float(20 * np.log10(span / rms)) if 0 < rms < np.inf and span > 0 else None,
        worst=worst,
        actual_at_worst=float(a[at]),
        expected_at_worst=float(r[at]),
    )
