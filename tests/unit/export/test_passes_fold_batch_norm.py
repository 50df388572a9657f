"""Batch norms fold into the convolution before them."""

import torch
from autoencoders import random_input
from export_factory import assert_equal, output, randomized
from torch import nn

from dcae_export.export.passes.fold_batch_norm import fold_batch_norm
from dcae_export.models.layers import ResBlock, RMSNorm2d

CHANNELS = 6


def block(norm: nn.Module) -> nn.Module:
    return randomized(nn.Sequential(ResBlock(CHANNELS, norm=norm, activation=nn.ReLU())))


def test_a_block_without_its_batch_norm_computes_the_same():
    module, x = block(nn.BatchNorm2d(CHANNELS)), random_input(2, CHANNELS, 5, 4).double()
    before = output(module, x)
    fold_batch_norm(module)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    assert_equal(output(module, x), before)


def test_a_block_with_an_rms_norm_stays_as_it_is():
    module = block(RMSNorm2d(CHANNELS))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    fold_batch_norm(module)
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_the_checkpoints_own_tensors_are_not_written_to():
    module = block(nn.BatchNorm2d(CHANNELS))
    weight = module[0].conv2.weight
    kept = weight.clone()
    fold_batch_norm(module)
    assert torch.equal(weight, kept)
