"""Calibration sees what float16 would hold, and nothing of float32's islands."""

import pytest
import torch
from torch import Tensor, nn

from dcae_export.export.calibration import calibrate
from dcae_export.export.passes.cast_blocks import cast_blocks
from dcae_export.models.attention import LinearAttention
from dcae_export.models.layers import RMSNorm2d, at_least_float32

# Bfloat16 stands in: a maximum is right to 2^-8.
ROUNDING = 2.0**-7


class Scaled(nn.Module):
    """Times a weight, and back again: the large number is inside."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([factor]), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor / 1000


class Island(nn.Module):
    """A sum of 100 squares in float32: only the result is float16."""

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(at_least_float32(x))
        return (wide.square() * 100).sqrt().to(x.dtype)


def found(network: nn.Sequential, *cases: Tensor) -> dict[str, float]:
    blocks = cast_blocks(network, [name for name, _ in network.named_children()])
    return calibrate(network, blocks, [{"latent": case} for case in cases])


def test_the_largest_value_inside_of_a_block_counts_over_all_cases():
    network = nn.Sequential(Scaled(2000.0), Scaled(5.0))
    ranges = found(network, torch.tensor([1.0, -3.0]), torch.tensor([2.0]))
    assert ranges["0"] == pytest.approx(6000, rel=ROUNDING)
    # The first block's result, 6, is cast to the second one's dtype, and its product is 30.
    assert ranges["1"] == pytest.approx(30, rel=ROUNDING)


def test_what_enters_a_block_counts():
    """Though the block before is float16 now, and holds it: it may become float32, and then this one casts."""
    ranges = found(nn.Sequential(nn.Identity(), nn.ReLU()), torch.tensor([-40000.0]))
    assert ranges == {name: pytest.approx(40000, rel=ROUNDING) for name in "01"}


def test_islands_of_float32_do_not_count():
    ranges = found(nn.Sequential(Island()), torch.tensor([300.0]))
    assert ranges["0"] == pytest.approx(3000, rel=ROUNDING)  # 9 million before the root


def test_the_sums_of_a_linear_attention_and_of_a_norm_do_not_count():
    attention, norm = LinearAttention(32, scales=()), RMSNorm2d(32)
    nn.init.ones_(attention.qkv.weight)
    nn.init.dirac_(attention.proj.weight)
    ranges = found(nn.Sequential(attention, norm).requires_grad_(False), torch.ones(1, 32, 64, 64))
    # q, k and v are 32 each; sums over 4096 positions of their products are millions.
    assert ranges["0"] == pytest.approx(32, rel=ROUNDING)
    assert ranges["1"] == pytest.approx(1, rel=ROUNDING)


def test_weights_count():
    ranges = found(nn.Sequential(Scaled(-70000.0)), torch.zeros(1))
    assert ranges["0"] == pytest.approx(70000, rel=ROUNDING)


def test_the_module_is_what_it_was_afterwards():
    network = nn.Sequential(Scaled(1.2345678))
    address, x = network[0].factor.data_ptr(), torch.tensor([1.0, 2.0])
    before = network(x)
    found(network, x)
    assert network[0].block.factor.data_ptr() == address
    assert torch.equal(network(x), before)
    assert not network[0]._forward_hooks
    assert not network[0]._forward_pre_hooks


def test_the_module_is_what_it_was_after_a_failure():
    network = nn.Sequential(nn.Linear(3, 3)).requires_grad_(False)
    with pytest.raises(RuntimeError, match="shapes"):
        found(network, torch.zeros(1, 2))
    assert network(torch.zeros(1, 3)).dtype is torch.float32
