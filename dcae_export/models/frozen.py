"""Networks that are used as they were published: the tensors of a file, each by its name, and nothing trains."""

import math
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from dcae_export.errors import WeightsError
from dcae_export.models.key_map import Entry
from dcae_export.models.random_weights import random_state
from dcae_export.models.state import collect
from dcae_export.models.tensor_files import read_tensors

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def load_frozen(
    network: NetworkT, path: Path, *, of: str, left_out: tuple[str, ...] = ()
) -> NetworkT:
    """A network, built on the meta device, with the tensors of a file.

    Args:
        network: The network, whose keys are the names in the file.
        path: A .pth, .pt, .ckpt or .safetensors.
        of: What an error calls the network.
        left_out: What tensors begin with that may be there and are not used.

    Raises:
        WeightsError: The file is malformed, or has a tensor too few, too many or of another shape.
        RefusedError: A pickle that holds more than tensors.
    """
    stored = {
        name: tensor for name, tensor in read_tensors(path).items() if not name.startswith(left_out)
    }
    entries = tuple(
        Entry(key=name, shape=shape, names=(name,), stored_shape=shape)
        for name, shape in ((name, tuple(t.shape)) for name, t in network.state_dict().items())
    )
    try:
        state = collect(stored, entries, of=of)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return _frozen(network, state)


def draw_frozen(network: NetworkT, *, seed: int) -> NetworkT:
    """A network, built on the meta device, with random tensors, none of them neutral: for trials.

    Convolutions are drawn for a ReLU behind them (He et al., arXiv 1502.01852, equation 10), or what a deep network
    makes of its input would be lost in its biases.
    """
    state = random_state(network, seed=seed)
    for tensor in state.values():
        if tensor.ndim == 4:
            tensor.mul_(math.sqrt(2))
    return _frozen(network, state)


def _frozen(network: NetworkT, state: dict[str, Tensor]) -> NetworkT:
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(requires_grad=False)
