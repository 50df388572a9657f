import numpy as np
import pytest

from benchmarks.gradient_error import gradient_error


def edge(column: int) -> np.ndarray:
    picture = np.zeros((8, 16, 3), np.uint8)
    picture[:, column:] = 200
    return picture


def test_a_picture_has_no_error_to_itself_nor_to_a_brighter_one():
    picture = np.random.default_rng(0).integers(0, 200, (9, 12, 3), dtype=np.uint8)
    assert gradient_error(picture, picture) == 0
    assert gradient_error(picture, picture + 50) == 0


@pytest.mark.parametrize("turned", [False, True])
def test_a_flat_result_has_the_mean_gradient_of_the_picture(turned):
    # 3 levels a pixel in one direction, none in the other, and no byte wraps around.
    picture = np.tile(np.arange(0, 240, 3, dtype=np.uint8)[None, :, None], (5, 1, 3))
    picture = picture.swapaxes(0, 1) if turned else picture
    flat = np.full_like(picture, 255)
    assert gradient_error(picture, flat) == pytest.approx(1.5)
    assert gradient_error(flat, picture) == pytest.approx(1.5)


def test_an_edge_somewhere_else_costs_twice_a_lost_one():
    lost = gradient_error(edge(4), edge(0))
    assert lost > 0
    assert gradient_error(edge(4), edge(10)) == pytest.approx(2 * lost)
