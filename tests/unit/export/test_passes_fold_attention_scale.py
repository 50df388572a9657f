"""The scale of attention's scores folds into the query's weights."""

import pytest
import torch
from export_factory import assert_equal, output, randomized
from torch import nn

from dcae_export.export.passes.fold_attention_scale import ScaledAttention, fold_attention_scale
from dcae_export.models.transformer_layers import SelfAttention


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_attention_with_scaled_queries_computes_the_same(qkv_bias):
    module = randomized(nn.Sequential(SelfAttention(24, heads=3, qkv_bias=qkv_bias)))
    x = torch.randn(2, 7, 24, generator=torch.Generator().manual_seed(0)).double()
    before = output(module, x)
    fold_attention_scale(module)
    assert isinstance(module[0], ScaledAttention)
    assert_equal(output(module, x), before)


def test_the_checkpoints_own_tensors_are_not_written_to():
    module = randomized(nn.Sequential(SelfAttention(8, heads=2, qkv_bias=True)))
    weight, bias = module[0].qkv.weight, module[0].qkv.bias
    kept = weight.clone(), bias.clone()
    fold_attention_scale(module)
    assert torch.equal(weight, kept[0])
    assert torch.equal(bias, kept[1])
