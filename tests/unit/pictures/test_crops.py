import math
from collections.abc import Callable

import numpy as np
import pytest
from crafted_pictures import gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dcae_export.errors import ConfigError
from dcae_export.pictures.crops import (
    EvaluationCrop,
    TrainingCrop,
    adm_crop,
    cut,
    random_resized_crop,
)

# Pillow's weights are integers of 22 bits: a level that is near a half may be rounded the other way.
ROUNDING = 1

Kernel = tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]


def _box(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


BOX: Kernel = (_box, 0.5)
BICUBIC: Kernel = (_bicubic, 2.0)


def _weights(old: int, new: int, kernel: Kernel) -> NDArray[np.float64]:
    """(new, old): a kernel that widens by the factor by which the side shrinks."""
    function, support = kernel
    scale = old / new
    widening = max(1.0, scale)
    weights = np.zeros((new, old))
    for row in range(new):
        centre = (row + 0.5) * scale
        first = max(0, int(centre - support * widening + 0.5))
        last = min(old, int(centre + support * widening + 0.5))
        weights[row, first:last] = function((np.arange(first, last) - centre + 0.5) / widening)
    return weights / weights.sum(axis=1, keepdims=True)


def _resized(image: NDArray[np.uint8], size: tuple[int, int], kernel: Kernel) -> NDArray[np.uint8]:
    """Columns first, rounded to levels, then rows: what a resampler of 8-bit pictures does."""
    for axis, new in ((1, size[1]), (0, size[0])):
        if image.shape[axis] == new:
            continue
        moved = np.moveaxis(image, axis, 0).astype(np.float64)
        levels = np.tensordot(_weights(moved.shape[0], new, kernel), moved, axes=1)
        rounded = np.clip(np.floor(levels + 0.5), 0, 255).astype(np.uint8)
        image = np.moveaxis(rounded, 0, axis)
    return image


def _adm_in_numpy(image: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], int]:
    """The crop, and how many times it was resampled."""
    steps = 0
    while min(image.shape[:2]) >= 2 * size:
        image = _resized(image, (image.shape[0] // 2, image.shape[1] // 2), BOX)
        steps += 1
    scale = size / min(image.shape[:2])
    image = _resized(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)), BICUBIC)
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size], steps + 1


def _adm_in_pillow(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The protocol word by word: the whole picture is resized, then cut."""
    picture = Image.fromarray(image)
    while min(picture.size) >= 2 * size:
        half = (picture.size[0] // 2, picture.size[1] // 2)
        picture = picture.resize(half, resample=Image.Resampling.BOX)
    scale = size / min(picture.size)
    whole = (round(picture.size[0] * scale), round(picture.size[1] * scale))
    pixels = np.array(picture.resize(whole, resample=Image.Resampling.BICUBIC))
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[top : top + size, left : left + size]


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(100, 150, 32), (259, 301, 32), (47, 33, 32), (20, 27, 32), (64, 64, 32), (31, 95, 31)],
)
def test_the_evaluation_crop_is_that_of_the_protocol_in_numpy(height: int, width: int, size: int):
    image = noise(height, width)
    expected, steps = _adm_in_numpy(image, size)
    difference = adm_crop(image, size).astype(int) - expected
    assert np.abs(difference).max() <= steps * ROUNDING
    assert abs(difference.mean()) < 0.1


@settings(max_examples=60, deadline=None)
@given(height=st.integers(2, 120), width=st.integers(2, 120), size=st.integers(1, 48))
def test_the_evaluation_crop_is_that_of_the_protocol_in_pillow(height: int, width: int, size: int):
    image = noise(height, width)
    assert np.array_equal(adm_crop(image, size), _adm_in_pillow(image, size))


def test_a_picture_of_the_size_is_its_own_evaluation_crop():
    image = noise(32, 32)
    assert np.array_equal(adm_crop(image, 32), image)


def test_the_evaluation_crop_shows_the_middle():
    image = noise(32, 132)
    assert np.array_equal(adm_crop(image, 32), image[:, 50:82])


def test_the_evaluation_crop_of_a_thread_of_pixels_takes_no_memory():
    # Enlarged whole it would be 64 by 64 million pixels.
    assert adm_crop(np.full((1, 10**6, 3), 7, np.uint8), 64).tolist() == [[[7] * 3] * 64] * 64


def test_shrinking_does_not_alias():
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    square = random_resized_crop(stripes, 50, generator(), 1.0)
    assert np.abs(square[2:-2, 2:-2].astype(int) - 127.5).max() <= 2


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    size=st.integers(1, 40),
    min_area=st.floats(0.01, 1),
    seed=st.integers(0, 2**32),
)
def test_a_random_crop_is_always_a_square_of_the_size(
    height: int, width: int, size: int, min_area: float, seed: int
):
    crop = TrainingCrop(size=size, min_area=min_area, enlarge=True)
    square = cut(np.full((height, width, 3), 99, np.uint8), crop, generator(seed))
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    assert square.flags.c_contiguous
    assert (square == 99).all()


def test_equal_generators_give_equal_crops_and_others_do_not():
    crop = TrainingCrop(size=16, min_area=0.2)
    image = noise(50, 60)
    first, again, other = (cut(image, crop, generator(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def _sides_and_places(min_area: float, size: int) -> tuple[list[float], list[float]]:
    """The sides and left edges of crops, read off a ramp of columns whose level is the column."""
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3))
    image = np.ascontiguousarray(ramp)
    draws = generator(3)
    sides: list[float] = []
    lefts: list[float] = []
    for _ in range(300):
        levels = random_resized_crop(image, size, draws, min_area)[size // 2, :, 0].astype(float)
        # Away from the edges, where the kernel is cut off, levels rise by side / size.
        slope = (levels[-4] - levels[3]) / (size - 7)
        sides.append(slope * size)
        lefts.append(levels[size // 2] - slope * (size / 2 + 0.5))
    return sides, lefts


def test_areas_and_places_of_random_crops_fill_their_range():
    min_area = 0.25
    sides, lefts = _sides_and_places(min_area, size=50)
    areas = (np.array(sides) / 200) ** 2
    # The ramp's levels are whole, which moves a side by 1 in 44 at most.
    assert areas.min() == pytest.approx(min_area, abs=0.03)
    assert areas.max() == pytest.approx(1, abs=0.03)
    assert areas.mean() == pytest.approx((1 + min_area) / 2, abs=0.05)
    assert min(lefts) == pytest.approx(0, abs=4)
    assert max(np.add(lefts, sides)) == pytest.approx(200, abs=5)


def test_a_random_crop_is_not_enlarged_where_the_picture_is_large_enough():
    sides, _ = _sides_and_places(0.01, size=150)
    assert min(sides) == pytest.approx(150, abs=3)


def test_half_of_the_crops_are_mirrored():
    crop = TrainingCrop(size=16, min_area=1.0)
    image = gradient(16, 16)
    draws = generator()
    mirrored = 0
    for _ in range(200):
        square = cut(image, crop, draws)
        is_mirrored = np.array_equal(square, image[:, ::-1])
        assert is_mirrored or np.array_equal(square, image)
        mirrored += is_mirrored
    # Five standard deviations of 200 tosses.
    assert abs(mirrored - 100) <= 5 * math.sqrt(200) / 2


def test_a_crop_for_evaluation_draws_nothing():
    draws = generator()
    square = cut(noise(40, 50), EvaluationCrop(size=16), draws)
    assert np.array_equal(square, adm_crop(noise(40, 50), 16))
    assert draws.bit_generator.state == generator().bit_generator.state


def test_the_shortest_side_is_the_size_unless_pictures_may_be_enlarged():
    assert TrainingCrop(size=64, min_area=0.5).min_side == 64
    assert EvaluationCrop(size=64, enlarge=True).min_side == 1


@pytest.mark.parametrize(("size", "min_area"), [(0, 0.5), (64, 0.0), (64, 1.5), (64, math.nan)])
def test_an_impossible_crop_is_a_config_error(size: int, min_area: float):
    with pytest.raises(ConfigError):
        TrainingCrop(size=size, min_area=min_area)
