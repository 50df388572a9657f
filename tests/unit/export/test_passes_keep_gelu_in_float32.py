"""GELUs behind casts."""

import pytest
import torch
from autoencoders import random_input
from torch import nn

from dcae_export.export.passes.keep_gelu_in_float32 import keep_gelu_in_float32


class WatchedGELU(nn.GELU):
    """Keeps the dtype that it was given."""

    seen: torch.dtype | None = None

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        self.seen = input.dtype
        return super().forward(input)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_a_gelu_in_float16_computes_in_float32(approximate):
    network = nn.Sequential(nn.Sequential(WatchedGELU(approximate=approximate)))
    watched = network[0][0]
    keep_gelu_in_float32(network)
    result = network(torch.tensor([-3.0, 0.5, 100.0], dtype=torch.float16))
    assert watched.seen is torch.float32
    assert result.dtype is torch.float16
    assert torch.equal(result, watched(torch.tensor([-3.0, 0.5, 100.0])).half())


def test_in_float32_nothing_changes():
    network, x = nn.Sequential(nn.GELU(), nn.ReLU()), random_input(2, 5)
    before = network(x)
    keep_gelu_in_float32(network)
    assert torch.equal(network(x), before)
    assert type(network[1]) is nn.ReLU
