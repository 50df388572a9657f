"""As for the autoencoder: no tensor of a transformer can be lost without moving the output by a mile."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from mutations import MUTATIONS, TOLERANCES, mutated
from small_transformers import SMALL_DIT, SMALL_UVIT, random_transformer, transformer_inputs
from torch import Tensor

from dcae_export.parity import FP32, difference

pytestmark = pytest.mark.integration

CONFIGS = {"dit": SMALL_DIT, "uvit": SMALL_UVIT}
NETWORKS = {name: random_transformer(config) for name, config in CONFIGS.items()}
TENSORS = [(kind, name) for kind, network in NETWORKS.items() for name in network.state_dict()]


@torch.no_grad()
def run(kind: str) -> np.ndarray:
    """The network on a batch of two, with the null class in it."""
    return NETWORKS[kind](*transformer_inputs(CONFIGS[kind])).numpy()


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    return {kind: run(kind) for kind in NETWORKS}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
@pytest.mark.parametrize(("kind", "name"), TENSORS)
def test_a_lost_tensor_of_a_transformer_moves_the_output_by_more_than_a_hundred_tolerances(
    expected: dict[str, np.ndarray], kind: str, name: str, mutate: Callable[[str, Tensor], Tensor]
):
    with mutated(NETWORKS[kind], name, mutate):
        found = difference(run(kind), expected[kind])
    assert found.relative_l2 > TOLERANCES * FP32.relative_l2, str(found)


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_parameter_of_a_transformer_is_mutated(kind):
    parameters = {name for name, _ in NETWORKS[kind].named_parameters()}
    assert {name for other, name in TENSORS if other == kind} == parameters


def test_the_mutations_of_transformers_leave_no_trace(expected):
    """The tests above share the networks; this one comes last."""
    for kind, value in expected.items():
        np.testing.assert_array_equal(run(kind), value)
