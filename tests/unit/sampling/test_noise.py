import hashlib
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcae_export.sampling.noise import latent_noise, normals

MILLION = 1_000_000
MILLION_SHA256 = "dac6b8fa773024b4b3832f9d4c919f9d0215d59b6f92fb07c17e464d0d045b1a"

# Five standard errors of the mean and of the variance of a million independent normals.
MEAN_TOLERANCE = 5 / math.sqrt(MILLION)
VARIANCE_TOLERANCE = 5 * math.sqrt(2 / MILLION)

# The polynomials are good to a few units of float64, the result to half a unit of float32.
LIBRARY_TOLERANCE = 2**-24

seeds = st.integers(0, 2**64 - 1) | st.integers(2**64 - 1000, 2**64 - 1) | st.integers(0, 1000)
counts = st.integers(0, 40)


def philox(seed: int, stream: int, block: int) -> list[int]:
    """The four words of a block, in Python's integers."""
    counter = [block % 2**32, block >> 32, stream % 2**32, stream >> 32]
    key = [seed % 2**32, seed >> 32]
    for _ in range(10):
        high_0, low_0 = divmod(counter[0] * 0xD2511F53, 2**32)
        high_1, low_1 = divmod(counter[2] * 0xCD9E8D57, 2**32)
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter


def ln(u: float) -> float:
    (bits,) = struct.unpack("<Q", struct.pack("<d", u))
    e = (bits >> 52) - 1023
    (m,) = struct.unpack("<d", struct.pack("<Q", bits % 2**52 | 1023 << 52))
    if m > 1.4142135623730951:
        m, e = m / 2, e + 1
    s = (m - 1) / (m + 1)
    q = s * s
    p = 1 / 23
    for k in range(21, 0, -2):
        p = p * q + 1 / k
    return e * 0.6931471805599453 + (2 * s) * p


def cosine_and_sine(word: int) -> tuple[float, float]:
    octant = word >> 29
    f = (word % 2**29 + 0.5) / 2**29
    if octant % 2:
        f = 1 - f
    x = f * 0.7853981633974483
    q = x * x
    p = -1 / math.factorial(15)
    for k in (13, 11, 9, 7, 5, 3):
        p = p * q + (1 if k % 4 == 1 else -1) / math.factorial(k)
    sine = x + x * (q * p)
    p = 1 / math.factorial(16)
    for k in (14, 12, 10, 8, 6, 4, 2):
        p = p * q + (1 if k % 4 == 0 else -1) / math.factorial(k)
    cosine = 1 + q * p
    if octant in (1, 2, 5, 6):
        cosine, sine = sine, cosine
    return (-cosine if 2 <= octant <= 5 else cosine), (-sine if octant >= 4 else sine)


def normals_one_by_one(seed: int, stream: int, count: int) -> list[np.float32]:
    """The definition of the noise, a number at a time."""
    numbers: list[np.float32] = []
    for block in range(-(-count // 4)):
        words = philox(seed, stream, block)
        for w0, w1 in (words[:2], words[2:]):
            radius = math.sqrt(-2 * ln((w0 + 0.5) / 2**32))
            numbers += [np.float32(radius * part) for part in cosine_and_sine(w1)]
    return numbers[:count]


def test_a_million_normals_have_the_published_hash():
    numbers = normals(42, stream=0, count=MILLION)
    assert hashlib.sha256(numbers.astype("<f4").tobytes()).hexdigest() == MILLION_SHA256


def test_a_stream_begins_with_the_published_numbers():
    first = [0.7288839817047119, 0.7178203463554382, -1.5432460308074951]
    assert normals(7, stream=3, count=3).tolist() == first


@pytest.mark.parametrize(
    ("seed", "stream", "words"),
    [
        (0, 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        (7, 3, [0x97B356D9, 0x1FB03C42, 0x29A796E8, 0x998B4610]),
    ],
)
def test_the_definition_below_starts_from_the_published_words(
    seed: int, stream: int, words: list[int]
):
    assert philox(seed, stream, 0) == words


@given(seed=seeds, stream=st.integers(0, 2**64 - 1) | st.integers(0, 1000), count=counts)
def test_normals_are_the_bits_of_the_definition(seed: int, stream: int, count: int):
    expected = np.array(normals_one_by_one(seed, stream, count), np.float32)
    assert normals(seed, stream=stream, count=count).tobytes() == expected.tobytes()


def test_numbers_far_into_a_stream_are_the_bits_of_the_definition():
    words = philox(5, 1, 249_999)
    radius = math.sqrt(-2 * ln((words[2] + 0.5) / 2**32))
    cosine, sine = cosine_and_sine(words[3])
    last = normals(5, stream=1, count=MILLION)[-2:]
    assert last.tolist() == [float(np.float32(radius * cosine)), float(np.float32(radius * sine))]


@given(seed=seeds, fewer=counts, more=counts)
def test_fewer_are_a_prefix_of_more(seed: int, fewer: int, more: int):
    fewer, more = min(fewer, more), max(fewer, more)
    expected = normals(seed, stream=0, count=more)[:fewer]
    assert np.array_equal(normals(seed, stream=0, count=fewer), expected)


def test_a_prefix_ends_anywhere_in_a_chunk():
    whole = normals(1, stream=2, count=70_000)
    for count in (1, 16_383, 16_384, 16_385, 65_537):
        assert np.array_equal(normals(1, stream=2, count=count), whole[:count])


@given(seed=seeds)
def test_seeds_are_taken_modulo_two_to_the_64(seed: int):
    numbers = normals(seed, stream=0, count=8)
    assert np.array_equal(normals(seed + 2**64, stream=0, count=8), numbers)
    assert np.array_equal(normals(seed - 2**64, stream=0, count=8), numbers)


@given(seed=seeds, stream=st.integers(0, 1000))
def test_seeds_and_streams_are_independent(seed: int, stream: int):
    numbers = normals(seed, stream=stream, count=4).tolist()
    assert normals(seed, stream=stream + 1, count=4).tolist() != numbers
    assert normals(seed + 1, stream=stream, count=4).tolist() != numbers
    # Swapping the two does not bring the other's numbers.
    assert stream == seed or normals(stream, stream=seed, count=4).tolist() != numbers


def test_the_seed_after_the_last_is_the_first():
    assert np.array_equal(normals(2**64, stream=1, count=9), normals(0, stream=1, count=9))


@given(seed=seeds, stream=st.integers(0, 50))
def test_a_latent_is_filled_in_c_order(seed: int, stream: int):
    latent = latent_noise(seed, stream=stream, shape=(3, 2, 5))
    assert latent.shape == (3, 2, 5)
    assert latent.flags.c_contiguous
    assert latent.dtype == np.float32
    assert np.array_equal(latent.ravel(), normals(seed, stream=stream, count=30))


def test_normals_agree_with_the_mathematical_library():
    words = np.array([philox(9, 4, block) for block in range(500)], np.float64).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log((words[:, 0] + 0.5) / 2**32))
    angle = 2 * np.pi * (words[:, 1] + 0.5) / 2**32
    expected = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1).ravel()
    numbers = normals(9, stream=4, count=2000)
    assert np.max(np.abs(numbers - expected) / np.abs(expected)) < 1.001 * LIBRARY_TOLERANCE


def test_a_million_normals_have_mean_0_and_variance_1():
    numbers = normals(3, stream=0, count=MILLION).astype(np.float64)
    assert abs(numbers.mean()) < MEAN_TOLERANCE
    assert abs(numbers.var() - 1) < VARIANCE_TOLERANCE
