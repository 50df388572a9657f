"""A transformer through a whole sampler in PyTorch."""

import numpy as np
import pytest
import torch
from small_transformers import SMALL_DIT, SMALL_UVIT, random_transformer
from transformers_factory import FLOW, LINEAR, SCALED_LINEAR

from dcae_export.errors import ParityError
from dcae_export.export.trajectory import SAMPLER, Trajectory, spread
from dcae_export.sampling.noise import latent_noise
from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import sample

SHAPE = (1, 3, 6, 8)


@pytest.mark.parametrize("diffusion", [SCALED_LINEAR, FLOW], ids=["betas", "flow"])
def test_a_run_is_that_of_the_sampler(diffusion):
    network = random_transformer(SMALL_UVIT)
    trajectory = Trajectory(diffusion=diffusion, latent=SHAPE, label=2)
    end, calls = trajectory.run(network)

    def evaluate(state, t):
        with torch.no_grad():
            return network(torch.from_numpy(state), torch.tensor([t]), torch.tensor([2])).numpy()

    table = make_table(SAMPLER, diffusion)
    expected = sample(
        table,
        network=evaluate,
        noise=lambda stream: latent_noise(0, stream=stream, shape=SHAPE),
    )
    np.testing.assert_array_equal(end, expected)
    assert len(calls) == 20
    assert [float(call["timestep"]) for call in calls] == [row.t for row in table.rows]


def test_a_variance_that_was_learned_is_left_out():
    network = random_transformer(SMALL_DIT)
    end, calls = Trajectory(diffusion=LINEAR, latent=SHAPE, label=0).run(network)
    assert end.shape == SHAPE
    assert list(calls[0]) == ["latent", "timestep", "label"]


def test_without_classes_there_is_no_label():
    _, calls = Trajectory(diffusion=FLOW, latent=SHAPE, label=None).run(
        lambda latent, timestep: 0.1 * latent
    )
    assert list(calls[0]) == ["latent", "timestep"]


def test_a_network_that_is_not_finite_ends_the_run():
    with pytest.raises(ParityError, match="row 0"):
        Trajectory(diffusion=FLOW, latent=SHAPE, label=None).run(
            lambda latent, timestep: latent * torch.inf
        )


def test_evaluations_are_picked_from_first_to_last():
    calls = [{"latent": torch.tensor([float(i)])} for i in range(20)]
    assert list(spread(calls, count=4)) == [f"evaluation {i}" for i in (0, 6, 13, 19)]
    assert spread([], count=0) == {}
