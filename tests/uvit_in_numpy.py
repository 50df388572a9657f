"""U-ViT once more, in float64 and plain NumPy, written from its description and not from our module."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LAYER_NORM_EPS = 1e-5
_erf = np.vectorize(math.erf, otypes=[np.float64])


def uvit(
    weights: Mapping[str, Array],
    latent: Array,
    timestep: Array,
    label: NDArray[np.int64] | None,
    *,
    patch: int,
    heads: int,
) -> Array:
    """The prediction for a latent (B, C, H, W); ``weights`` are under their official names."""
    tokens = [_patches(weights, latent, patch=patch)]
    width = tokens[0].shape[2]
    angles = timestep[:, None] * np.exp(-math.log(10000) * np.arange(width // 2) / (width // 2))
    tokens.insert(0, np.concatenate([np.cos(angles), np.sin(angles)], axis=1)[:, None])
    if label is not None:
        tokens.insert(0, weights["label_emb.embedding_table.weight"][label][:, None])
    num_extra = len(tokens) - 1
    x = np.concatenate(tokens, axis=1) + weights["pos_embed"]
    half = len({name.split(".")[1] for name in weights if name.startswith("in_blocks.")})
    outputs = []
    for index in range(half):
        x = _block(weights, f"in_blocks.{index}", x, heads=heads)
        outputs.append(x)
    x = _block(weights, "mid_block", x, heads=heads)
    for index in range(half):
        both = np.concatenate([x, outputs[half - 1 - index]], axis=2)
        x = _linear(weights, f"out_blocks.{index}.skip_linear", both)
        x = _block(weights, f"out_blocks.{index}", x, heads=heads)
    values = _linear(weights, "decoder_pred", _layer_norm(weights, "norm", x))
    return _picture(values[:, num_extra:], latent.shape, patch=patch)


def _patches(weights: Mapping[str, Array], latent: Array, *, patch: int) -> Array:
    kernel, bias = weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"]
    height, width = latent.shape[2:]
    return np.stack(
        [
            np.einsum("bcyx,dcyx->bd", latent[:, :, y : y + patch, x : x + patch], kernel) + bias
            for y in range(0, height, patch)
            for x in range(0, width, patch)
        ],
        axis=1,
    )


def _picture(values: Array, shape: tuple[int, ...], *, patch: int) -> Array:
    batch, channels, height, width = shape
    picture = np.empty(shape)
    corners = [(y, x) for y in range(0, height, patch) for x in range(0, width, patch)]
    for token, (top, left) in enumerate(corners):
        piece = values[:, token].reshape(batch, patch, patch, channels)
        for y in range(patch):
            for x in range(patch):
                picture[:, :, top + y, left + x] = piece[:, y, x]
    return picture


def _block(weights: Mapping[str, Array], name: str, x: Array, *, heads: int) -> Array:
    normed = _layer_norm(weights, f"{name}.norm1", x)
    x = x + _attention(weights, f"{name}.attn", normed, heads=heads)
    hidden = _linear(weights, f"{name}.mlp.fc1", _layer_norm(weights, f"{name}.norm2", x))
    hidden = 0.5 * hidden * (1 + _erf(hidden / math.sqrt(2)))
    return x + _linear(weights, f"{name}.mlp.fc2", hidden)


def _attention(weights: Mapping[str, Array], name: str, x: Array, *, heads: int) -> Array:
    batch, num_tokens, width = x.shape
    dim = width // heads
    qkv = _linear(weights, f"{name}.qkv", x).reshape(batch, num_tokens, 3, heads, dim)
    out = np.empty((batch, num_tokens, heads, dim))
    for head in range(heads):
        q, k, v = (qkv[:, :, part, head] for part in range(3))
        scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(dim))
        out[:, :, head] = scores / scores.sum(axis=2, keepdims=True) @ v
    return _linear(weights, f"{name}.proj", out.reshape(batch, num_tokens, width))


def _linear(weights: Mapping[str, Array], name: str, x: Array) -> Array:
    y = x @ weights[f"{name}.weight"].T
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def _layer_norm(weights: Mapping[str, Array], name: str, x: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt(variance + LAYER_NORM_EPS)
    return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]
