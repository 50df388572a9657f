import numpy as np
import pytest

from benchmarks.nearest_pictures import SIDE, nearest, thumbnail


def pictures(count: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


def thumbnails(images: np.ndarray) -> np.ndarray:
    return np.stack([thumbnail(image) for image in images])


def test_a_copy_is_found_at_no_distance_even_where_it_is_mirrored():
    known = pictures(20, seed=0)
    asked = np.stack([known[7], known[3][:, ::-1]])
    found = nearest(thumbnails(asked), thumbnails(known))
    assert found.numbers.tolist() == [7, 3]
    assert found.distances == pytest.approx([0, 0], abs=1e-3)


def test_a_picture_upside_down_is_another_one():
    known = pictures(20, seed=0)
    found = nearest(thumbnails(known[:1, ::-1]), thumbnails(known))
    assert found.distances[0] > 10


def test_the_distance_is_the_root_mean_square_in_levels():
    known = np.full((1, 64, 64, 3), 100, np.uint8)
    found = nearest(thumbnails(known + 30), thumbnails(known))
    assert found.distances == pytest.approx([30])


def test_the_nearest_is_that_of_every_pair():
    known, asked = thumbnails(pictures(12, seed=0)), thumbnails(pictures(5, seed=1))
    found = nearest(asked, known)
    pairs = np.stack(
        [
            np.sqrt(((asked[:, None] - one[None]) ** 2).mean(axis=(2, 3, 4)))
            for one in (known, known[:, :, ::-1])
        ]
    ).min(axis=0)
    assert found.numbers.tolist() == pairs.argmin(axis=1).tolist()
    assert found.distances == pytest.approx(pairs.min(axis=1), rel=1e-5)


def test_a_thumbnail_is_the_average_of_what_it_stands_for():
    image = pictures(1, seed=2)[0]
    expected = image.reshape(SIDE, 64 // SIDE, SIDE, 64 // SIDE, 3).mean(axis=(1, 3))
    assert thumbnail(image) == pytest.approx(expected, abs=1e-3)
