"""Fold the scale of attention's scores into the query's weights, and write attention as few operators."""

import math

from torch import Tensor, nn

from dcae_export.export.replace_modules import replace_modules
from dcae_export.models.layers import at_least_float32
from dcae_export.models.transformer_layers import SelfAttention


class ScaledAttention(nn.Module):
    """Softmax attention whose queries are scaled already: (B, N, D) to (B, N, D)."""

    def __init__(self, attention: SelfAttention) -> None:
        super().__init__()
        self.heads = attention.heads
        self.proj = attention.proj
        width = attention.qkv.in_features
        scale = 1.0 / math.sqrt(width // self.heads)
        has_bias = attention.qkv.bias is not None  # pyright: ignore[reportUnnecessaryComparison] - typed as always there
        self.qkv = nn.Linear(width, 3 * width, bias=has_bias, device="meta")
        self.qkv.weight = _scaled(attention.qkv.weight, width, scale)
        if has_bias:
            self.qkv.bias = _scaled(attention.qkv.bias, width, scale)

    def forward(self, x_BND: Tensor) -> Tensor:
        batch, num_tokens, width = x_BND.shape
        q_BNGd, k_BNGd, v_BNGd = (
            part.view(batch, num_tokens, self.heads, width // self.heads)
            for part in self.qkv(x_BND).split(width, dim=-1)
        )
        # The key is transposed once, straight to where the product wants it.
        scores_BGNN = q_BNGd.permute(0, 2, 1, 3) @ k_BNGd.permute(0, 2, 3, 1)
        # In float32 or wider: the sum over all tokens, and weights far below the largest.
        weights_BGNN = scores_BGNN.to(at_least_float32(scores_BGNN)).softmax(dim=-1)
        out_BGNd = weights_BGNN.to(scores_BGNN.dtype) @ v_BNGd.permute(0, 2, 1, 3)
        return self.proj(out_BGNd.permute(0, 2, 1, 3).reshape(batch, num_tokens, width))


def fold_attention_scale(module: nn.Module) -> None:
    """Replace, in place, every attention of a transformer by one that multiplies its scores by nothing."""
    replace_modules(module, SelfAttention, ScaledAttention)


def _scaled(tensor: Tensor, rows: int, scale: float) -> nn.Parameter:
    """The rows of the query, which come first, times ``scale``."""
    scaled = tensor.detach().clone()
    scaled[:rows] *= scale
    return nn.Parameter(scaled, requires_grad=False)
