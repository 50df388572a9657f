"""Modules with random weights."""

from typing import TypeVar

from torch import nn

from dcae_export.models.random_weights import random_state

Part = TypeVar("Part", bound=nn.Module)


def randomized(module: Part) -> Part:
    """The module, ready for inference, with no tensor at a neutral value."""
    module.load_state_dict(random_state(module, seed=5))
    return module.eval().requires_grad_(requires_grad=False)
