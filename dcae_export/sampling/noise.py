"""Normal numbers that are the same bits in every language.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) gives the words, the
Box-Muller transform the normals. Logarithm, sine and cosine use + - * / and sqrt only, which IEEE 754 rounds in
one way, so that no mathematical library decides a bit. docs/bundle-format.md has the order of the operations.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

# Blocks worked on at once: arrays of 32 KiB, of which the dozen that are alive stay in the second-level cache.
_CHUNK = 4096

# By octant of the angle, from 0 to 7.
_SWAPPED = np.array([False, True, True, False, False, True, True, False])
_COSINE_SIGN = np.array([1.0, 1.0, -1.0, -1.0, -1.0, -1.0, 1.0, 1.0])
_SINE_SIGN = np.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0])


def _taylor(degrees: range) -> tuple[float, ...]:
    return tuple((-1) ** (degree // 2) / math.factorial(degree) for degree in degrees)


# Highest degree first, as Horner's rule takes them.
_ATANH_TERMS = tuple(1 / odd for odd in range(23, 0, -2))
_SINE_TERMS = _taylor(range(15, 2, -2))
_COSINE_TERMS = _taylor(range(16, 1, -2))
_LN_2 = 0.6931471805599453
_SQRT_2 = 1.4142135623730951
_EIGHTH_TURN = 0.7853981633974483


def normals(seed: int, *, stream: int, count: int) -> NDArray[np.float32]:
    """The first numbers of one stream of standard normals; fewer are a prefix of more.

    Args:
        seed: Any integer; it is taken modulo 2^64.
        stream: Which of the seed's independent streams, modulo 2^64.
        count: How many, at least 0.

    Returns:
        (count,), each number rounded once to float32.
    """
    numbers = np.empty((-(-count // 4), 2, 2), np.float32)
    for first in range(0, len(numbers), _CHUNK):
        chunk = numbers[first : first + _CHUNK]
        words = _philox(seed, stream, first=first, count=len(chunk))
        cosines, sines = _box_muller(words[0::2], words[1::2])
        chunk[:, :, 0] = cosines.T
        chunk[:, :, 1] = sines.T
    return numbers.reshape(-1)[:count]


def latent_noise(seed: int, *, stream: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The noise of one image's latent, filled in C order.

    Image i of a request has the seed of the request + i, so that a batch equals its images one by one.

    Args:
        seed: The image's seed, modulo 2^64.
        stream: 0 is what a run starts from, i + 1 what row i of a sampler's table adds.
        shape: (channels, rows, columns) of the latent.

    Returns:
        Standard normals of that shape.
    """
    return normals(seed, stream=stream, count=math.prod(shape)).reshape(shape)


def _philox(seed: int, stream: int, *, first: int, count: int) -> NDArray[np.uint64]:
    """The words of ``count`` blocks from ``first``: (4, count), each below 2^32."""
    word, bits = np.uint64(_WORD), np.uint64(32)
    block = np.arange(first, first + count, dtype=np.uint64)
    c0, c1 = block & word, block >> bits
    c2 = np.full_like(block, stream & _WORD)
    c3 = np.full_like(block, stream >> 32 & _WORD)
    k0, k1 = seed & _WORD, seed >> 32 & _WORD
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = (p1 >> bits) ^ c1 ^ np.uint64(k0), p1 & word
        c2, c3 = (p0 >> bits) ^ c3 ^ np.uint64(k1), p0 & word
        k0, k1 = k0 + _WEYL[0] & _WORD, k1 + _WEYL[1] & _WORD
    return np.stack((c0, c1, c2, c3))


def _box_muller(
    first: NDArray[np.uint64], second: NDArray[np.uint64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two normals of each pair of words: with the cosine, and with the sine, of the second word's angle."""
    radius = np.sqrt(-2.0 * _ln((first.astype(np.float64) + 0.5) / 2.0**32))
    octant = (second >> np.uint64(29)).astype(np.intp)
    within = ((second & np.uint64(2**29 - 1)) + 0.5) / 2.0**29
    x = np.where(octant & 1, 1.0 - within, within) * _EIGHTH_TURN
    q = x * x
    sine = x + x * (q * _horner(q, _SINE_TERMS))
    cosine = 1.0 + q * _horner(q, _COSINE_TERMS)
    swapped = _SWAPPED[octant]
    return (
        radius * (_COSINE_SIGN[octant] * np.where(swapped, sine, cosine)),
        radius * (_SINE_SIGN[octant] * np.where(swapped, cosine, sine)),
    )


def _ln(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """The natural logarithm of numbers in (0, 1): ln(m 2^e) with m in (sqrt(1/2), sqrt(2)]."""
    half, exponent = np.frexp(u)
    low = half <= _SQRT_2 / 2
    m = np.where(low, 2.0 * half, half)
    s = (m - 1.0) / (m + 1.0)
    return (exponent - low) * _LN_2 + (2.0 * s) * _horner(s * s, _ATANH_TERMS)


def _horner(q: NDArray[np.float64], terms: Sequence[float]) -> NDArray[np.float64]:
    value = np.full_like(q, terms[0])
    for term in terms[1:]:
        value *= q
        value += term
    return value
