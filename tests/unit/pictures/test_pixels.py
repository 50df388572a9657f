import math

import numpy as np
import pytest

from dcae_export.errors import ParityError
from dcae_export.pictures.pixels import to_tensor, to_uint8


def test_tensors_are_scaled_in_float32():
    images = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(2, 16, 8, 3)
    tensor = to_tensor(images)
    expected = images.astype(np.float32) / np.float32(127.5) - np.float32(1)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert np.array_equal(tensor, expected.transpose(0, 3, 1, 2))
    assert (tensor.min(), tensor.max()) == (-1, 1)


def test_pictures_survive_the_way_to_tensors_and_back():
    images = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(2, 16, 8, 3)
    assert np.array_equal(to_uint8(to_tensor(images)), images)


def test_the_output_is_clamped_then_truncated():
    values = [-9.0, -1.0, 0.0, 0.9999, 1.0, 3e38, -3e38, 1 / 127.5]
    output = np.array(values, np.float32).reshape(1, 1, 1, -1).repeat(3, axis=1)
    pictures = to_uint8(output)
    assert pictures.shape == (1, 1, len(values), 3)
    assert pictures[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255, 255, 0, 129]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_output_that_is_not_finite_is_never_a_picture(value: float):
    output = np.zeros((2, 3, 4, 4), np.float32)
    output[1, 2, 3, 3] = value
    with pytest.raises(ParityError, match="output is not finite"):
        to_uint8(output)
