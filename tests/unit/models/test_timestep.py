import math

import numpy as np
import torch

from dcae_export.models.timestep import TimestepFeatures

# An angle of 1000 in float32 is rounded, and its frequency was: 2^-24 of it each, and the sum of both.
ANGLE_ERROR = 1000 * 2.0**-23


def features(width: int, *timesteps: float) -> np.ndarray:
    return TimestepFeatures(width)(torch.tensor(timesteps)).numpy()


def test_features_are_cosines_then_sines_of_falling_frequencies():
    timesteps = (0.25, 1.0, 17.5, 500.0, 1000.0)
    found = features(16, *timesteps)
    for row, timestep in zip(found, timesteps, strict=True):
        angles = [timestep * 10000 ** (-k / 8) for k in range(8)]
        expected = [*map(math.cos, angles), *map(math.sin, angles)]
        np.testing.assert_allclose(row, expected, rtol=0, atol=ANGLE_ERROR)
    assert found.dtype == np.float32


def test_at_time_zero_the_cosines_are_one_and_the_sines_zero():
    np.testing.assert_array_equal(features(8, 0.0), [[1, 1, 1, 1, 0, 0, 0, 0]])


def test_frequencies_are_no_weights_and_have_their_values_on_the_meta_device():
    with torch.device("meta"):
        module = TimestepFeatures(8)
    assert not module.state_dict()
    assert torch.equal(module(torch.tensor([2.0])), TimestepFeatures(8)(torch.tensor([2.0])))
