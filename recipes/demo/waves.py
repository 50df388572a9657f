"""Smooth random fields: sums of waves, known at every place and so the same at every size."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recipes.demo.canvas import Generator, Plane

# In picture sides; more than any drawing looks at, or the picture would show the same twice.
_PERIOD = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveField:
    """A random function of the plane, its mean 0 and its variance 1 over all that could be drawn.

    ``amplitudes`` (2 n + 1, n + 1) belong to whole numbers of waves in a period: from -n to n down, 0 to n to the
    right.
    """

    amplitudes: NDArray[np.complex64]

    @classmethod
    def draw(
        cls, generator: Generator, *, longest: float, shortest: float, falloff: float = 2.0
    ) -> Self:
        """Draw a field.

        Args:
            generator: What is drawn from.
            longest: The longest wave, in picture sides.
            shortest: The shortest.
            falloff: A wave of half the length has an amplitude that is 2 to this power smaller: 1 is rough, 2 is
                as clouds are, 3 is smooth.
        """
        count = int(_PERIOD / shortest)
        waves = np.hypot(np.arange(-count, count + 1)[:, None], np.arange(count + 1))
        kept = (waves >= _PERIOD / longest) & (waves <= _PERIOD / shortest)
        sizes = np.where(kept, np.maximum(waves, 1) ** -falloff, 0)
        sizes /= math.sqrt(np.square(sizes).sum())
        real, imaginary = generator.standard_normal((2, *sizes.shape))
        return cls(amplitudes=(sizes * (real + 1j * imaginary)).astype(np.complex64))

    def at(self, x: Plane, y: Plane) -> Plane:
        """The values (height, width) at columns ``x`` (1, width) and rows ``y`` (height, 1)."""
        counts = np.arange(self.amplitudes.shape[1])
        down, right = _waves(y[:, 0], counts), _waves(x[0], counts)
        # Waves upwards are the conjugates of those downwards.
        both = np.concatenate([down[:0:-1].conj(), down])
        partial = both.T @ self.amplitudes
        # The real part of one more product, without computing the other.
        factors = np.concatenate([partial.real, -partial.imag], axis=1)
        return factors @ np.concatenate([right.real, right.imag])


def wave_line(
    generator: Generator, x: Plane, *, longest: float, shortest: float, falloff: float = 2.0
) -> tuple[Plane, Plane]:
    """A random function of one variable, its mean 0 and its variance 1 over all that could be drawn.

    Returns:
        Its values at ``x`` and its slopes there, both of x's shape.
    """
    waves = np.arange(math.ceil(_PERIOD / longest), int(_PERIOD / shortest) + 1)
    sizes = waves**-falloff
    sizes /= math.sqrt(np.square(sizes).sum())
    real, imaginary = generator.standard_normal((2, len(waves)))
    amplitudes = (sizes * (real + 1j * imaginary)).astype(np.complex64)
    turning = _waves(x.ravel(), waves)
    turns = (2j * np.pi / _PERIOD * waves).astype(np.complex64)
    values, slopes = (factors @ turning for factors in (amplitudes, amplitudes * turns))
    return values.real.reshape(x.shape), slopes.real.reshape(x.shape)


def _waves(places: NDArray[np.float32], counts: NDArray[np.int_]) -> NDArray[np.complex64]:
    """(counts, places): the waves that make so many turns in a period."""
    turns = np.outer(counts / _PERIOD, places.astype(np.float64))
    # Whole turns are taken off in full precision; what is left bears single precision, which is far faster.
    angles = ((turns - np.rint(turns)) * (2 * np.pi)).astype(np.float32)
    return np.cos(angles) + 1j * np.sin(angles)
