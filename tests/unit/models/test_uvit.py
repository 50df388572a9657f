import dataclasses
import math

import numpy as np
import pytest
import torch
from autoencoders import random_input
from small_transformers import SMALL_UVIT, random_transformer, transformer_inputs
from uvit_in_numpy import uvit

from dcae_export.errors import ConfigError
from dcae_export.models.uvit import UViT, resize_positions
from dcae_export.parity import FP32, difference

BICUBIC_ERROR = 1e-6


@pytest.mark.parametrize("num_classes", [None, 5])
@pytest.mark.parametrize("patch", [1, 2])
def test_the_network_computes_what_its_description_says(patch, num_classes):
    config = dataclasses.replace(SMALL_UVIT, patch=patch, num_classes=num_classes)
    network = random_transformer(config)
    latent, timestep, *label = transformer_inputs(config, batch=3)
    expected = uvit(
        {name: tensor.numpy().astype(np.float64) for name, tensor in network.state_dict().items()},
        latent.numpy().astype(np.float64),
        timestep.numpy().astype(np.float64),
        label[0].numpy() if label else None,
        patch=patch,
        heads=config.heads,
    )
    actual = network(latent, timestep, *label).numpy()
    found = difference(actual, expected)
    assert found.within(FP32), str(found)
    assert 0.1 < actual.std() < 10


@pytest.mark.parametrize("grid", [(8, 6), (12, 16), (2, 4)])
def test_on_another_grid_the_network_is_the_one_whose_positions_were_resized(grid):
    network = random_transformer(SMALL_UVIT)
    state, config = resize_positions(network.state_dict(), SMALL_UVIT, grid=grid)
    resized = UViT(config)
    resized.load_state_dict(state)
    inputs = transformer_inputs(SMALL_UVIT, grid=grid)
    found = network(*inputs)
    assert found.shape == (2, SMALL_UVIT.in_channels, *grid)
    assert torch.equal(found, resized.eval()(*inputs))


def test_positions_learn_from_latents_of_another_grid():
    network = random_transformer(SMALL_UVIT).requires_grad_()
    network(*transformer_inputs(SMALL_UVIT, grid=(12, 16))).square().mean().backward()
    gradient = network.pos_embed.grad
    assert gradient is not None
    # Each vector lies in the reach of some place of the finer grid.
    assert bool(gradient.abs().sum(dim=2).all())


def test_a_grid_that_patches_do_not_cover_is_refused():
    with pytest.raises(ValueError, match="7x8 is no multiple of patch 2"):
        random_transformer(SMALL_UVIT)(*transformer_inputs(SMALL_UVIT, grid=(7, 8)))


def test_labels_go_with_classes_in_uvit_too():
    latent, timestep, _ = transformer_inputs(SMALL_UVIT)
    with pytest.raises(AssertionError):
        random_transformer(SMALL_UVIT)(latent, timestep)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"depth": 3}, "depth 3 cannot be halved .*; it has to be even"),
        ({"width": 9}, "no pair of sine and cosine"),
    ],
)
def test_a_contradictory_configuration_of_uvit_is_refused(change, fault):
    with pytest.raises(ConfigError, match=fault):
        dataclasses.replace(SMALL_UVIT, **change)


def bicubic(line: np.ndarray, size: int) -> np.ndarray:
    """Resize the first axis by Keys' cubic kernel with a = -0.75, pixel centres at halves, edges repeated."""

    def kernel(distance: float) -> float:
        a, d = -0.75, abs(distance)
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0

    resized = np.zeros((size, *line.shape[1:]))
    for place in range(size):
        centre = (place + 0.5) * len(line) / size - 0.5
        first = math.floor(centre) - 1
        for tap in range(first, first + 4):
            resized[place] += kernel(centre - tap) * line[min(max(tap, 0), len(line) - 1)]
    return resized


@pytest.mark.parametrize("grid", [(8, 12), (4, 8), (2, 2), (6, 4)])
def test_positions_are_interpolated_on_the_grid_of_patches(grid):
    state = random_transformer(SMALL_UVIT).state_dict()
    resized, config = resize_positions(state, SMALL_UVIT, grid=grid)
    assert config == dataclasses.replace(SMALL_UVIT, grid=grid)
    before, after = state["pos_embed"][0].numpy(), resized["pos_embed"][0].numpy()
    np.testing.assert_array_equal(after[:2], before[:2])
    plane = before[2:].astype(np.float64).reshape(3, 4, -1)
    rows, columns = grid[0] // 2, grid[1] // 2
    expected = bicubic(bicubic(plane, rows).swapaxes(0, 1), columns).swapaxes(0, 1)
    np.testing.assert_allclose(
        after[2:], expected.reshape(rows * columns, -1), rtol=0, atol=BICUBIC_ERROR
    )
    assert all(resized[name] is state[name] for name in state if name != "pos_embed")


@pytest.mark.parametrize("num_classes", [None, 5])
def test_a_network_runs_on_the_grid_that_its_positions_were_resized_to(num_classes):
    small = dataclasses.replace(SMALL_UVIT, num_classes=num_classes)
    state, config = resize_positions(random_transformer(small).state_dict(), small, grid=(10, 4))
    network = UViT(config)
    network.load_state_dict(state)
    assert network(*transformer_inputs(config)).shape == (2, 3, 10, 4)


def test_the_grid_that_positions_have_leaves_them_as_they_are():
    state = random_transformer(SMALL_UVIT).state_dict()
    same, config = resize_positions(state, SMALL_UVIT, grid=SMALL_UVIT.grid)
    assert same is state
    assert config is SMALL_UVIT


def test_positions_cannot_be_resized_to_a_grid_that_patches_do_not_cover():
    with pytest.raises(
        ConfigError, match=r"9x8 is no multiple of patch 2; patches that fit it: 1$"
    ):
        resize_positions({"pos_embed": random_input(1, 14, 24)}, SMALL_UVIT, grid=(9, 8))
