"""The attention's epsilon becomes a constant that no optimizer takes for 0."""

import torch
from autoencoders import random_input
from export_factory import assert_equal, output, randomized
from torch import nn

from dcae_export.export.passes.keep_attention_epsilon import keep_attention_epsilon
from dcae_export.models.attention import LinearAttention
from dcae_export.models.layers import RMSNorm2d

CHANNELS = 32


def test_attention_with_the_epsilon_in_a_tensor_computes_the_same():
    module = randomized(nn.Sequential(LinearAttention(CHANNELS, scales=(5,))))
    x = random_input(2, CHANNELS, 2, 3).double()
    before = output(module, x)
    keep_attention_epsilon(module)
    assert isinstance(module[0].eps, torch.Tensor)
    assert module[0].eps.shape == (1,)
    assert_equal(output(module, x), before)


def test_a_head_that_attends_to_nothing_gives_zeros():
    module = randomized(nn.Sequential(LinearAttention(CHANNELS, scales=())))
    module[0].qkv.weight[:CHANNELS] = 0  # every query
    x = random_input(1, CHANNELS, 2, 3).double()
    before = output(module, x)
    keep_attention_epsilon(module)
    assert_equal(output(module, x), before)


def test_the_epsilon_of_other_layers_stays_a_number():
    module = nn.Sequential(RMSNorm2d(CHANNELS), nn.BatchNorm2d(CHANNELS))
    keep_attention_epsilon(module)
    assert [type(part.eps) for part in module] == [float, float]
    assert isinstance(LinearAttention(CHANNELS, scales=()).eps, float)
