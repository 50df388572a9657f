import numpy as np
import pytest

from benchmarks.gradient_error import gradient_error


def test_a_picture_has_no_error_to_itself_nor_to_a_brighter_one():
    picture = np.random.default_rng(0).integers(0, 200, (9, 12, 3), dtype=np.uint8)
    assert gradient_error(picture, picture) == 0
    assert gradient_error(picture, picture + 50) == 0


def test_a_flat_result_has_the_mean_gradient_of_the_picture():
    # 3 levels a step along, none down, beyond where bytes would wrap around.
    picture = np.tile(np.arange(0, 240, 3, dtype=np.uint8)[None, :, None], (5, 1, 3))
    flat = np.full_like(picture, 255)
    assert gradient_error(picture, flat) == gradient_error(flat, picture) == 1.5


def test_an_edge_in_the_wrong_place_costs_twice_a_lost_one():
    picture, moved = (np.zeros((8, 8, 3), np.uint8) for _ in range(2))
    picture[:, 4:], moved[:, 5:] = 200, 200
    lost = gradient_error(picture, np.zeros_like(picture))
    assert gradient_error(picture, moved) == pytest.approx(2 * lost)
