"""Values counted in bins whose edges are round numbers."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

_MAX_BINS: Final = 32
# Values that differ by less, or by a smaller share of themselves, are one bin: nobody reads the digits of finer edges.
_LEAST_SPREAD: Final = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A round distance: ``mantissa`` (1, 2 or 5) x 10 ** ``exponent``."""

    mantissa: int
    exponent: int

    @classmethod
    def at_least(cls, distance: float) -> "Step":
        """The smallest round distance that is not below one, which is above 0."""
        exponent = math.floor(math.log10(distance))
        for mantissa in (1, 2, 5):
            if mantissa * 10.0**exponent >= distance:
                return cls(mantissa=mantissa, exponent=exponent)
        return cls(mantissa=1, exponent=exponent + 1)

    @property
    def size(self) -> float:
        """The distance as a number."""
        return self.mantissa * 10.0**self.exponent

    def label(self, multiple: int) -> str:
        """So many steps from 0, with the decimals of one."""
        return f"{multiple * self.size:,.{max(0, -self.exponent)}f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Counts of neighbouring bins; the first starts ``first`` steps from 0."""

    step: Step
    first: int
    counts: tuple[int, ...]


def histogram(values: tuple[float, ...]) -> Histogram:
    """Count finite values, at least one; few values get few bins."""
    array = np.array(values, dtype=np.float64)
    low, high = float(array.min()), float(array.max())
    spread = max(high - low, _LEAST_SPREAD * max(1.0, abs(low), abs(high)))
    step = Step.at_least(spread / min(_MAX_BINS, 2 * math.ceil(math.sqrt(len(values)))))
    bins = np.floor(array / step.size).astype(np.int64)
    first = int(bins.min())
    return Histogram(step=step, first=first, counts=tuple(np.bincount(bins - first).tolist()))
