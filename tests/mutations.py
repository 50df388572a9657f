"""Ways to lose one tensor of a checkpoint."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

# How far a lost tensor has to move the output, in tolerances of a comparison.
TOLERANCES = 100


def zeroed(_: str, tensor: Tensor) -> Tensor:
    """Nothing but zeros."""
    return torch.zeros_like(tensor)


def permuted(_: str, tensor: Tensor) -> Tensor:
    """The same values in another order along the first axis that has an order."""
    axis = next(axis for axis, size in enumerate(tensor.shape) if size > 1)
    order = torch.from_numpy(np.random.default_rng(3).permutation(tensor.shape[axis]))
    return tensor.index_select(axis, order)


def skipped(name: str, tensor: Tensor) -> Tensor:
    """The value that makes the tensor's step do nothing; a convolution does nothing where it adds nothing."""
    scales = name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1)
    return torch.ones_like(tensor) if scales else torch.zeros_like(tensor)


@contextmanager
def mutated(
    network: nn.Module, name: str, mutate: Callable[[str, Tensor], Tensor]
) -> Generator[None]:
    """One tensor of the network is another, and then again what it was."""
    tensor = network.state_dict()[name]
    kept = tensor.clone()
    changed = mutate(name, kept)
    assert not torch.equal(changed, kept), "the mutation changes nothing"
    try:
        tensor.copy_(changed)
        yield
    finally:
        tensor.copy_(kept)


MUTATIONS = [zeroed, permuted, skipped]
