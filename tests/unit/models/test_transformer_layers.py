"""The transformers' layers against their definitions, written out with explicit indices."""

import math

import numpy as np
import pytest
import torch
from autoencoders import random_input
from random_modules import randomized

from dcae_export.models.transformer_layers import (
    LabelEmbedding,
    PatchEmbedding,
    SelfAttention,
    unpatchify,
)

DOUBLE = 1e-12


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_a_patch_is_unfolded_in_the_order_row_column_channel(patch):
    rows, columns, channels = 2, 3, 4
    values = random_input(2, rows * columns, patch * patch * channels)
    latent = unpatchify(values, rows, columns, patch=patch)
    assert latent.shape == (2, channels, rows * patch, columns * patch)
    for y in range(rows * patch):
        for x in range(columns * patch):
            token = (y // patch) * columns + x // patch
            place = (y % patch) * patch + x % patch
            expected = values[:, token, place * channels : (place + 1) * channels]
            assert torch.equal(latent[:, :, y, x], expected)


@pytest.mark.parametrize("shape", [(5, 4), (4, 5), (3, 3)])
def test_a_latent_that_patches_do_not_cover_is_refused(shape):
    with pytest.raises(ValueError, match=f"{shape[0]}x{shape[1]} is no multiple of patch 2"):
        PatchEmbedding(3, 8, patch=2)(random_input(1, 3, *shape))


@pytest.mark.parametrize("bias", [False, True])
def test_attention_is_a_softmax_over_all_tokens_for_each_head(bias):
    width, heads, num_tokens = 12, 3, 5
    attention = randomized(SelfAttention(width, heads=heads, qkv_bias=bias)).double()
    x = random_input(2, num_tokens, width).double()
    dim = width // heads
    joined = torch.empty_like(x)
    for sample in range(2):
        qkv = attention.qkv(x[sample])
        for head in range(heads):
            start = head * dim
            q, k, v = (
                qkv[:, part * width + start : part * width + start + dim] for part in range(3)
            )
            for token in range(num_tokens):
                scores = [
                    float(q[token] @ k[other]) / math.sqrt(dim) for other in range(num_tokens)
                ]
                weights = np.exp(scores) / np.exp(scores).sum()
                mixed = sum(w * v[other] for other, w in enumerate(weights))
                joined[sample, token, start : start + dim] = mixed
    torch.testing.assert_close(attention(x), attention.proj(joined), rtol=0, atol=DOUBLE)


def test_the_null_class_is_one_more_than_the_classes():
    embedding = LabelEmbedding(7, 4)
    assert embedding(torch.tensor([0, 7])).shape == (2, 4)
    with pytest.raises(IndexError):
        embedding(torch.tensor([8]))
