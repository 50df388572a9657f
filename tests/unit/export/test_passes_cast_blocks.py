"""Blocks of another dtype, and the casts where they begin."""

import torch
from autoencoders import random_input
from random_modules import randomized
from torch import Tensor, nn

from dcae_export.export.passes.cast_blocks import cast_blocks
from dcae_export.export.passes.use_rms_norm_operator import use_rms_norm_operator
from dcae_export.models.attention import EfficientViTBlock
from dcae_export.models.layers import RMSNorm2d


class Chain(nn.Module):
    """Three blocks in a row, which keeps what goes from one to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(3)))
        self.between: list[Tensor] = []

    def forward(self, x_BCHW: Tensor) -> Tensor:
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            self.between.append(x_BCHW)
        return x_BCHW


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 4)

    def forward(self, x_BD: Tensor, label: Tensor, *, mask: Tensor | None = None) -> Tensor:
        assert label.dtype is torch.int64
        assert mask is None
        return x_BD + self.table(label)


def test_a_block_casts_what_enters_it_and_leaves_its_result_as_it_is():
    chain = randomized(Chain())
    blocks = cast_blocks(chain, ["stages.0", "stages.1", "stages.2"])
    blocks["stages.1"].to_dtype(torch.float16)
    chain(random_input(1, 4, 2, 2))
    assert [value.dtype for value in chain.between] == [torch.float32, torch.float16, torch.float32]


def test_in_float32_nothing_changes():
    chain, x = randomized(Chain()), random_input(1, 4, 2, 2)
    before = chain(x)
    cast_blocks(chain, ["stages.0", "stages.2"])
    assert torch.equal(chain(x), before)


def test_integers_and_what_is_missing_go_through_as_they_are():
    network = nn.ModuleDict({"lookup": Lookup()}).eval()
    block = cast_blocks(network, ["lookup"])["lookup"]
    block.to_dtype(torch.float16)
    result = block(torch.zeros(2, 4), label=torch.tensor([0, 2]), mask=None)
    assert result.dtype is torch.float16


def test_the_checkpoints_own_tensors_are_not_written_to():
    chain = randomized(Chain())
    weight = chain.stages[0].weight.data
    before = weight.clone()
    cast_blocks(chain, ["stages.0"])["stages.0"].to_dtype(torch.float16)
    assert weight.dtype is torch.float32
    assert torch.equal(weight, before)


def test_rounded_weights_stay_rounded_when_computed_in_float32_again():
    chain = randomized(Chain())
    exact = chain.stages[0].weight.data
    block = cast_blocks(chain, ["stages.0"])["stages.0"]
    block.to_dtype(torch.float16)
    block.to_dtype(torch.float32)
    assert torch.equal(block.block.weight, exact.half().float())
    assert not torch.equal(block.block.weight, exact)


def test_a_norm_that_computes_in_float32_keeps_its_weights():
    network = nn.Sequential(nn.Sequential(RMSNorm2d(4), nn.Conv2d(4, 4, 1)))
    cast_blocks(network, ["0"])["0"].to_dtype(torch.float16)
    norm, convolution = network[0].block
    assert norm.weight.dtype is torch.float32
    assert convolution.weight.dtype is torch.float16


def test_the_operator_for_norms_takes_weights_of_its_inputs_dtype():
    network = nn.Sequential(nn.Sequential(RMSNorm2d(4)))
    use_rms_norm_operator(network)
    block = cast_blocks(network, ["0"])["0"]
    block.to_dtype(torch.float16)
    assert block(torch.ones(1, 4, 2, 2)).dtype is torch.float16


def test_a_block_of_dc_ae_computes_nearly_the_same_in_float16():
    network = randomized(nn.Sequential(EfficientViTBlock(32, scales=(5,))))
    x = random_input(1, 32, 3, 5)
    expected = network(x)
    cast_blocks(network, ["0"])["0"].to_dtype(torch.float16)
    found = network(x).float()
    assert 0 < (found - expected).norm() / expected.norm() < 5e-3
