"""Judge how far one array is from its reference: the only place that holds tolerances."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """What two computations of one function may differ by.

    ``relative_l2`` bounds |a - r| / |r| over all elements; ``max_abs`` bounds the worst element as a share
    of the reference's range (max - min). ``psnr_db`` and ``cosine`` are what is reached at least, None where nothing
    is asked of them.
    """

    relative_l2: float
    max_abs: float
    because: str
    psnr_db: float | None = None
    cosine: float | None = None

    def __str__(self) -> str:
        text = f"relative L2 {self.relative_l2:.2g} and max abs {self.max_abs:.2g} of the range"
        if self.psnr_db is not None:
            text += f", PSNR at least {self.psnr_db:g} dB"
        if self.cosine is not None:
            text += f", cosine at least {self.cosine:g}"
        return text


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


# What float16 costs: a unit in its last place is 2^-11, 5e-4; some sixty rounded layers in a row make it a few
# thousandths. The bounds are where a difference begins to be seen, not what is measured (docs/numerics.md).
FP16_PICTURES = Tolerance(
    relative_l2=5e-2,
    max_abs=0.25,
    psnr_db=40.0,
    because="float16 between float32 islands: 40 dB to float32 is what nobody sees in a picture",
)

FP16_LATENTS = Tolerance(
    relative_l2=4.5e-2,
    max_abs=0.25,
    cosine=0.999,
    because="float16 between float32 islands: a latent's own noise is larger",
)

FP16_TRAJECTORY = Tolerance(
    relative_l2=0.15,
    max_abs=0.5,
    cosine=0.99,
    because="twenty evaluations in float16, each from the state that the last one left",
)


def tolerance_of(output: str, dtype: str, *, precision: str) -> Tolerance:
    """The tolerance for a graph's output.

    Args:
        output: The port's name: "image", "latent" or "output".
        dtype: "float32" or "uint8".
        precision: The graph's, "fp32" or "fp16".
    """
    if precision == "fp16":
        return FP16_PICTURES if output == "image" else FP16_LATENTS
    return UINT8 if dtype == "uint8" else FP32


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How far an array is from its reference, and where it is worst.

    ``max_abs`` is in the reference's units, ``reference_range`` its max - min (255 for pictures); ``psnr_db`` is taken over that
    range and is None where that is no number: equal arrays, a
    constant reference, or a value that is not finite. ``cosine`` is that of the angle between the two as vectors, 0
    where either is zero or not finite. ``worst`` is the index of the largest difference.
    """

    max_abs: float
    relative_l2: float
    reference_range: float
    psnr_db: float | None
    cosine: float
    worst: tuple[int, ...]
    actual_at_worst: float
    expected_at_worst: float

    def within(self, tolerance: Tolerance) -> bool:
        """Whether all bounds hold; False where either array is not finite."""
        return (
            self.relative_l2 <= tolerance.relative_l2
            and self.max_abs <= tolerance.max_abs * self.reference_range
            # Arrays that have no PSNR are equal, or the bounds above do not hold.
            and (self.psnr_db is None or self.psnr_db >= (tolerance.psnr_db or -np.inf))
            and self.cosine >= (-np.inf if tolerance.cosine is None else tolerance.cosine)
        )

    def __str__(self) -> str:
        psnr = "" if self.psnr_db is None else f", PSNR {self.psnr_db:.1f} dB"
        return (
            f"relative L2 {self.relative_l2:.1e}{psnr}, cosine {self.cosine:.5f}, max abs {self.max_abs:.1e} at "
            f"{list(self.worst)} ({self.actual_at_worst:.6g} for {self.expected_at_worst:.6g})"
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
        cosine=_cosine(a, r),
        worst=worst,
        actual_at_worst=float(a[at]),
        expected_at_worst=float(r[at]),
    )


def _cosine(a: NDArray[np.float64], r: NDArray[np.float64]) -> float:
    # Division by the norms first: their product may overflow.
    norms = [float(np.linalg.norm(array)) for array in (a, r)]
    if not all(0 < norm < np.inf for norm in norms):
        return 0.0
    return float(np.vdot(a / norms[0], r / norms[1]))
