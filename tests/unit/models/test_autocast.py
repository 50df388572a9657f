"""What stays in float32 where autocast is on, and that nothing changes where it is off."""

import contextlib

import pytest
import torch
import torch.nn.functional as F
from autoencoders import random_input
from random_modules import randomized
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from dcae_export.models import attention
from dcae_export.models.attention import HEAD_DIM, EfficientViTBlock, LinearAttention
from dcae_export.models.layers import RMSNorm2d, without_autocast

HALVES = [torch.bfloat16, torch.float16]


def seen_by_linear_part(layer: LinearAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the sums are made of, and what comes out of the division."""
    seen: list[Tensor] = []
    hooks = [
        layer.qkv.register_forward_hook(lambda _layer, _x, y: seen.append(y)),
        layer.proj.register_forward_pre_hook(lambda _layer, x: seen.append(x[0])),
    ]
    layer(x)
    for hook in hooks:
        hook.remove()
    qkv, out = seen
    return qkv, out


def linear_part_in_float32(qkv: Tensor) -> Tensor:
    """The attention over the positions of one picture after the other, head by head."""
    out = []
    for start in range(0, qkv.shape[1], 3 * HEAD_DIM):
        q, k, v = qkv.float()[:, start : start + 3 * HEAD_DIM].flatten(2).chunk(3, dim=1)
        similarity = F.relu(k).transpose(1, 2) @ F.relu(q)
        out.append(v @ similarity / (similarity.sum(dim=1, keepdim=True) + 1e-15))
    return torch.cat(out, dim=1).reshape(qkv.shape[0], -1, *qkv.shape[2:])


@pytest.mark.parametrize("dtype", HALVES)
def test_the_attentions_linear_part_is_that_of_float32_under_autocast(dtype):
    layer = randomized(LinearAttention(64, scales=()))
    with torch.autocast("cpu", dtype=dtype):
        qkv, out = seen_by_linear_part(layer, random_input(2, 64, 12, 16))
    assert qkv.dtype is out.dtype is dtype
    expected = linear_part_in_float32(qkv)
    # One rounding to the half's digits, which two orders of the sums can take to either neighbour.
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(out.float(), expected, rtol=eps, atol=1e-5)
    one_rounding = (out == expected.to(dtype)).float().mean()
    assert one_rounding > 0.99


def test_autocast_alone_would_round_the_sums(monkeypatch):
    layer = randomized(LinearAttention(64, scales=()))
    monkeypatch.setattr(attention, "without_autocast", lambda _x: contextlib.nullcontext())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        qkv, out = seen_by_linear_part(layer, random_input(2, 64, 12, 16))
    rounded = out == linear_part_in_float32(qkv).to(torch.bfloat16)
    assert rounded.float().mean() < 0.9


def test_sums_over_many_positions_do_not_overflow_under_float16_autocast():
    layer = randomized(LinearAttention(32, scales=()))
    layer.qkv.weight.mul_(8)
    with torch.autocast("cpu", dtype=torch.float16):
        assert layer(random_input(1, 32, 64, 64)).isfinite().all()


@pytest.mark.parametrize("dtype", HALVES)
def test_the_rms_norm_is_that_of_float32_under_autocast(dtype):
    norm = randomized(RMSNorm2d(64))
    x = random_input(2, 64, 5, 7).to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        found = norm(x)
    assert found.dtype is dtype
    assert torch.equal(found, norm(x.float()).to(dtype))


def test_autocast_is_on_again_after_the_linear_part():
    x = random_input(1, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with without_autocast(x):
            assert (x @ x.T).dtype is torch.float32
        assert (x @ x.T).dtype is torch.bfloat16


def test_where_autocast_is_off_nothing_is_entered():
    for device in ("cpu", "meta"):
        assert isinstance(without_autocast(torch.empty(1, device=device)), contextlib.nullcontext)


def test_a_trace_sees_nothing_of_autocast(monkeypatch):
    block = randomized(EfficientViTBlock(32, scales=(5,)))
    x = random_input(1, 32, 4, 4)
    traced = make_fx(block)(x).graph
    monkeypatch.setattr(attention, "without_autocast", lambda _x: contextlib.nullcontext())
    assert str(traced) == str(make_fx(block)(x).graph)
    assert "autocast" not in str(traced)
