"""The proof of the gate: no tensor of a checkpoint can be lost without moving the output by a mile.

Every parity test compares an exported graph with PyTorch on random weights and allows a tolerance. That
proves something about a tensor only if a graph without it would differ by more: here each tensor in turn is
zeroed, permuted and skipped, in PyTorch, and the output must move by more than a hundred tolerances.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from autoencoders import small_checkpoint
from export_factory import TINY, photographs
from mutations import MUTATIONS, TOLERANCES, mutated
from torch import Tensor

from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.weights import load_autoencoder
from dcae_export.parity import FP32, difference
from dcae_export.pictures.pixels import to_tensor

pytestmark = pytest.mark.integration

# The grid of the gate's own picture case.
ROWS, COLUMNS = 2, 3

CHECKPOINT = small_checkpoint(TINY, seed=1)
# A batch norm's count of batches is used in training only: no graph can hold it.
TENSORS = [name for name in CHECKPOINT.state if not name.endswith("num_batches_tracked")]


@pytest.fixture(scope="module")
def network() -> Autoencoder:
    return load_autoencoder(CHECKPOINT)


@torch.no_grad()
def run(network: Autoencoder, side: str) -> np.ndarray:
    """The encoder on a photograph, or the decoder on a latent of the range that encoders give."""
    if side == "encoder":
        picture = to_tensor(photographs(1, ROWS * TINY.downsample, COLUMNS * TINY.downsample))
        return network.encode(torch.from_numpy(picture)).numpy()
    latent = np.random.default_rng(4).standard_normal((1, TINY.latent_channels, ROWS, COLUMNS))
    return network.decode(torch.from_numpy(latent.astype(np.float32))).numpy()


@pytest.fixture(scope="module")
def expected(network) -> dict[str, np.ndarray]:
    return {side: run(network, side) for side in ("encoder", "decoder")}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
@pytest.mark.parametrize("name", TENSORS)
def test_a_lost_tensor_moves_the_output_by_more_than_a_hundred_tolerances(
    network: Autoencoder,
    expected: dict[str, np.ndarray],
    name: str,
    mutate: Callable[[str, Tensor], Tensor],
):
    side = name.partition(".")[0]
    with mutated(network, name, mutate):
        found = difference(run(network, side), expected[side])
    assert found.relative_l2 > TOLERANCES * FP32.relative_l2, str(found)


def test_every_tensor_but_the_counters_is_mutated():
    left_out = set(CHECKPOINT.state) - set(TENSORS)
    assert left_out == {"decoder.stages.0.1.norm.num_batches_tracked"}


def test_the_mutations_leave_no_trace(network, expected):
    """The tests above share one network; this one comes last."""
    for side, value in expected.items():
        np.testing.assert_array_equal(run(network, side), value)
