import numpy as np
import pytest
import torch
from gaussian_data import DIT, SIT, UVIT, Gaussian, noise_of

from benchmarks.best_network import BestNetwork
from benchmarks.toy_distribution import Mixture, ToyDistribution
from dcae_export.parity import FP32, difference

SHAPE = (4, 2, 2)
NUMBERS = 16
GAUSSIAN = Gaussian(mean=0.3, std=0.9)
ONE_CLASS = ToyDistribution(
    shape=SHAPE,
    mixtures=(
        Mixture(
            weights=np.ones(1),
            means=np.full((1, NUMBERS), GAUSSIAN.mean),
            covariance=GAUSSIAN.std**2 * np.eye(NUMBERS),
        ),
    ),
)


def answer(diffusion, state, t):
    network = BestNetwork(ONE_CLASS, diffusion)
    label = torch.zeros(len(state), dtype=torch.int64)
    return network(torch.from_numpy(state), torch.full((len(state),), t), label).numpy()


@pytest.mark.parametrize(
    ("diffusion", "t"),
    [(DIT, 0.0), (DIT, 500.0), (DIT, 998.5), (UVIT, 1.0), (UVIT, 1000.0), (SIT, 0.0), (SIT, 1.0)],
)
def test_for_normal_numbers_it_answers_as_the_closed_form_says(diffusion, t):
    state = noise_of(3, (5, *SHAPE))(0)
    found = answer(diffusion, state, t)[:, : SHAPE[0]]
    expected = GAUSSIAN.network(diffusion)(state, t)
    assert difference(found, expected).within(FP32)


def test_where_a_variance_is_learned_it_answers_with_the_lower_bound():
    state = noise_of(3, (5, *SHAPE))(0)
    found = answer(DIT, state, 500.0)
    assert found.shape == (5, 2 * SHAPE[0], *SHAPE[1:])
    assert (found[:, SHAPE[0] :] == -1).all()
    assert answer(UVIT, state, 500.0).shape == state.shape
