"""Layers against their definitions, written out with explicit indices."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from autoencoders import random_input
from random_modules import randomized
from torch import nn

from dcae_export.models.attention import HEAD_DIM, GatedConvMLP, LinearAttention
from dcae_export.models.layers import (
    ConvPixelShuffle,
    ConvPixelUnshuffle,
    InterpolateConv,
    LatentConv,
    ResBlock,
    RMSNorm2d,
    StridedConv,
)

DOWN = [ConvPixelUnshuffle, StridedConv]
UP = [ConvPixelShuffle, InterpolateConv]


def shortcut_of(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The output where the convolution gives zeros."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        return layer(x)


@pytest.mark.parametrize("down", DOWN)
def test_the_shortcut_down_to_equal_width_is_average_pooling(down):
    x = random_input(2, 8, 6, 4)
    torch.testing.assert_close(shortcut_of(down(8, 8), x), F.avg_pool2d(x, 2))


@pytest.mark.parametrize("down", DOWN)
def test_the_shortcut_down_to_double_width_averages_pairs_in_a_row_and_keeps_rows_apart(down):
    x = random_input(2, 4, 6, 4)
    y = shortcut_of(down(4, 8), x)
    for channel in range(4):
        for row in range(2):
            rows = x[:, channel, row::2]
            expected = (rows[..., 0::2] + rows[..., 1::2]) / 2
            torch.testing.assert_close(y[:, 2 * channel + row], expected)


@pytest.mark.parametrize("up", UP)
def test_the_shortcut_up_to_equal_width_is_nearest_upsampling(up):
    x = random_input(2, 8, 3, 5)
    expected = F.interpolate(x, scale_factor=2.0, mode="nearest")
    torch.testing.assert_close(shortcut_of(up(8, 8), x), expected)


@pytest.mark.parametrize("up", UP)
def test_the_shortcut_up_to_half_width_feeds_even_channels_to_top_rows(up):
    x = random_input(2, 8, 3, 5)
    y = shortcut_of(up(8, 4), x)
    for channel in range(4):
        for row in range(2):
            expected = x[:, 2 * channel + row].repeat_interleave(2, dim=-1)
            torch.testing.assert_close(y[:, channel, row::2], expected)


def test_the_latent_shortcut_averages_neighbouring_channels_and_duplicates_them_back():
    x = random_input(1, 8, 2, 3)
    down = shortcut_of(LatentConv(8, 2, shortcut=True), x)
    torch.testing.assert_close(down[:, 1], x[:, 4:8].mean(dim=1))
    up = shortcut_of(LatentConv(2, 8, shortcut=True), down)
    assert torch.equal(up[:, 0:4], down[:, :1].expand(-1, 4, -1, -1))
    assert torch.equal(up[:, 4:8], down[:, 1:].expand(-1, 4, -1, -1))


def test_the_latent_convolution_can_have_no_shortcut():
    assert not shortcut_of(LatentConv(8, 2, shortcut=False), random_input(1, 8, 2, 3)).any()


def test_the_regression_of_the_pixel_unshuffle_channel_order_stays_away():
    # SpaceToDepth of some runtimes orders (dy, dx, c); here channels come first: 4c + 2dy + dx.
    layer = randomized(ConvPixelUnshuffle(3, 8, shortcut=False))
    x = random_input(1, 3, 4, 6)
    convolved, y = layer.conv(x), layer(x)
    assert y.shape == (1, 8, 2, 3)
    for channel in range(2):
        for dy in range(2):
            for dx in range(2):
                expected = convolved[:, channel, dy::2, dx::2]
                assert torch.equal(y[:, 4 * channel + 2 * dy + dx], expected)


def test_pixel_shuffle_takes_channels_in_the_order_of_pixel_unshuffle():
    layer = randomized(ConvPixelShuffle(8, 2, shortcut=False))
    x = random_input(1, 8, 2, 3)
    convolved, y = layer.conv(x), layer(x)
    for channel in range(2):
        for dy in range(2):
            for dx in range(2):
                expected = convolved[:, 4 * channel + 2 * dy + dx]
                assert torch.equal(y[:, channel, dy::2, dx::2], expected)


def test_the_rms_norm_divides_by_the_root_mean_square_and_subtracts_no_mean():
    norm = randomized(RMSNorm2d(6))
    x = random_input(2, 6, 3, 4) + 3
    pixel = x[1, :, 2, 1].double().numpy()
    expected = pixel / np.sqrt(np.mean(pixel**2) + 1e-5)
    expected = expected * norm.weight.numpy() + norm.bias.numpy()
    np.testing.assert_allclose(norm(x)[1, :, 2, 1].numpy(), expected, rtol=1e-5)


def test_a_residual_block_norms_its_second_convolution_only():
    block = randomized(ResBlock(4, norm=RMSNorm2d(4), activation=nn.ReLU()))
    x = random_input(1, 4, 5, 3)
    branch = block.norm(block.conv2(F.relu(block.conv1(x))))
    torch.testing.assert_close(block(x), x + branch)


@pytest.mark.parametrize("scales", [(), (5,)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 4), (5, 7)])
def test_linear_attention_equals_its_quadratic_definition(scales, height, width):
    channels, batch = 64, 2
    layer = randomized(LinearAttention(channels, scales=scales)).double()
    x = random_input(batch, channels, height, width).double()
    qkv = layer.qkv(x)
    qkv = torch.cat([qkv, *(conv(qkv) for conv in layer.multiscale)], dim=1)
    heads = []
    for start in range(0, qkv.shape[1], 3 * HEAD_DIM):
        q, k, v = (
            qkv[:, start + part * HEAD_DIM : start + (part + 1) * HEAD_DIM].flatten(2)
            for part in range(3)
        )
        similarity = torch.einsum("bdi,bdj->bij", q.relu(), k.relu())
        weight = similarity / (similarity.sum(dim=2, keepdim=True) + 1e-15)
        heads.append(torch.einsum("bij,bdj->bdi", weight, v))
    attended = torch.cat(heads, dim=1).reshape(batch, -1, height, width)
    expected = layer.norm(layer.proj(attended))
    torch.testing.assert_close(layer(x), expected, rtol=1e-9, atol=1e-9)


def test_attention_over_many_positions_in_float16_does_not_overflow():
    layer = randomized(LinearAttention(32, scales=()))
    layer.qkv.weight.mul_(8)
    x = random_input(1, 32, 64, 64)
    exact = layer(x)
    half = layer.half()(x.half())
    assert half.isfinite().all()
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.05)


def test_the_mlp_gates_its_first_half_with_its_second():
    layer = randomized(GatedConvMLP(8))
    x = random_input(1, 8, 3, 3)
    mixed = layer.depth_conv(F.silu(layer.inverted_conv(x)))
    value, gate = mixed[:, :32], mixed[:, 32:]
    expected = layer.norm(layer.point_conv(value * gate * torch.sigmoid(gate)))
    torch.testing.assert_close(layer(x), expected)
