import dataclasses
import math

import numpy as np
import pytest
import torch
from autoencoders import random_input
from small_transformers import SMALL_DIT, random_transformer, transformer_inputs

from dcae_export.errors import ConfigError
from dcae_export.models.dit import SinCosPositions
from dcae_export.parity import FP32, difference

# Values up to 1 in float32.
ROUNDING = 2.0**-24


def test_positions_are_sines_and_cosines_of_the_column_then_of_the_row():
    rows, columns, width = 3, 5, 16
    found = SinCosPositions(width)(rows, columns).numpy()
    assert found.shape == (rows * columns, width)
    quarter = width // 4
    for row in range(rows):
        for column in range(columns):
            angles = [p * 10000 ** (-k / quarter) for p in (column, row) for k in range(quarter)]
            across, down = angles[:quarter], angles[quarter:]
            expected = [
                f(angle) for half in (across, down) for f in (math.sin, math.cos) for angle in half
            ]
            np.testing.assert_allclose(
                found[row * columns + column], expected, rtol=0, atol=ROUNDING
            )


def test_positions_do_not_stretch_with_the_grid():
    positions = SinCosPositions(16)
    large = positions(9, 7).reshape(9, 7, 16)
    assert torch.equal(positions(4, 6).reshape(4, 6, 16), large[:4, :6])


def test_positions_are_no_weights_and_have_their_values_on_the_meta_device():
    with torch.device("meta"):
        module = SinCosPositions(8)
    assert not module.state_dict()
    assert torch.equal(module(2, 3), SinCosPositions(8)(2, 3))


@pytest.mark.parametrize("num_classes", [None, 5])
@pytest.mark.parametrize(("learned_variance", "channels"), [(False, 3), (True, 6)])
@pytest.mark.parametrize("grid", [(8, 8), (2, 2), (6, 14)])
def test_every_grid_of_whole_patches_is_taken(num_classes, learned_variance, channels, grid):
    config = dataclasses.replace(
        SMALL_DIT, num_classes=num_classes, learned_variance=learned_variance
    )
    output = random_transformer(config)(*transformer_inputs(config, grid=grid))
    assert output.shape == (2, channels, *grid)
    assert 0.1 < output.std() < 10


def test_the_grid_of_training_is_no_part_of_the_function():
    inputs = transformer_inputs(SMALL_DIT, grid=(4, 6))
    elsewhere = dataclasses.replace(SMALL_DIT, grid=(4, 6))
    assert torch.equal(
        random_transformer(SMALL_DIT)(*inputs), random_transformer(elsewhere)(*inputs)
    )


def test_a_sample_does_not_depend_on_its_batch():
    network = random_transformer(SMALL_DIT)
    inputs = transformer_inputs(SMALL_DIT, batch=3)
    together = network(*inputs).numpy()
    alone = torch.cat([network(*(value[i : i + 1] for value in inputs)) for i in range(3)])
    found = difference(alone.numpy(), together)
    assert found.within(FP32), str(found)


def test_a_transposed_latent_is_another_picture():
    network = random_transformer(SMALL_DIT)
    latent, *condition = transformer_inputs(SMALL_DIT)
    straight = network(latent, *condition)
    turned = network(latent.transpose(2, 3), *condition).transpose(2, 3)
    assert (straight - turned).norm() > 0.1 * straight.norm()


def test_labels_go_with_classes():
    latent, timestep, label = transformer_inputs(SMALL_DIT)
    with pytest.raises(AssertionError):
        random_transformer(SMALL_DIT)(latent, timestep)
    without = dataclasses.replace(SMALL_DIT, num_classes=None)
    with pytest.raises(AssertionError):
        random_transformer(without)(latent, timestep, label)


def test_a_grid_that_patches_do_not_cover_is_refused():
    with pytest.raises(ValueError, match="7x8 is no multiple of patch 2"):
        random_transformer(SMALL_DIT)(random_input(1, 3, 7, 8), torch.ones(1), torch.tensor([0]))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"heads": 5}, "width 24 is no multiple of its 5 heads"),
        ({"width": 6}, "multiple of 4"),
        ({"grid": (8, 7)}, "8x7 is no multiple of patch 2; patches that fit it: 1$"),
        ({"depth": 0}, "1 or more"),
        ({"num_classes": 0}, "1 or more"),
    ],
)
def test_a_contradictory_configuration_is_refused(change, fault):
    with pytest.raises(ConfigError, match=fault):
        dataclasses.replace(SMALL_DIT, **change)
