"""Pictures in and out of the graph by the rule of the runtime's own conversion."""

import numpy as np
import torch
from torch import nn

from dcae_export.export.image_io import PictureDecoder, PictureEncoder
from dcae_export.pictures.pixels import to_tensor, to_uint8

ALL_LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)


def test_every_level_becomes_the_value_that_the_runtime_gives_it():
    inside = PictureEncoder(nn.Identity())(torch.from_numpy(ALL_LEVELS)).numpy()
    np.testing.assert_array_equal(inside, to_tensor(ALL_LEVELS))


def test_every_value_is_rounded_and_clamped_as_the_runtime_does():
    values = np.linspace(-1.2, 1.2, 3 * 64 * 64, dtype=np.float32).reshape(1, 3, 64, 64)
    inside = PictureDecoder(nn.Identity())(torch.from_numpy(values)).numpy()
    np.testing.assert_array_equal(inside, to_uint8(values))


def test_a_picture_survives_both_conversions():
    both = PictureDecoder(PictureEncoder(nn.Identity()))
    np.testing.assert_array_equal(both(torch.from_numpy(ALL_LEVELS)).numpy(), ALL_LEVELS)
