"""The EfficientViT block: ReLU linear attention, then a gated convolutional MLP.

Shape suffixes: B batch, C channels, H height, W width, N = H * W positions, G heads, D head dimension.

The attention is ReLU(Q) (ReLU(K)^T V), normalised by ReLU(Q) ReLU(K)^T 1: linear in N. The reference code
switches to the quadratic order of the same products for N <= 32; both are one function in exact arithmetic,
so only the linear order exists here and a traced graph is valid for every size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcae_export.models.layers import RMSNorm2d, at_least_float32, without_autocast

HEAD_DIM = 32


class MultiscaleConv(nn.Module):
    """Aggregate neighbouring q, k and v: a depthwise convolution, then a 1x1 convolution in groups of 32."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, bias=False
        )
        self.pointwise = nn.Conv2d(channels, channels, 1, groups=channels // HEAD_DIM, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x_BCHW))


class LinearAttention(nn.Module):
    """Multi-scale ReLU linear attention (LiteMLA) with an RMS norm at its end.

    Channels of ``qkv`` are grouped per head: q, k, v of head 0, then of head 1, and so on.
    Sums and the division run in float32 or wider, under autocast too: in float16 the epsilon is 0 and sums over
    4096 positions overflow.
    """

    eps: float | Tensor = 1e-15

    def __init__(self, channels: int, *, scales: tuple[int, ...]) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.multiscale = nn.ModuleList(MultiscaleConv(3 * channels, size) for size in scales)
        self.proj = nn.Conv2d(channels * (1 + len(scales)), channels, 1, bias=False)
        self.norm = RMSNorm2d(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        qkv = self.qkv(x_BCHW)
        if len(self.multiscale):
            qkv = torch.cat([qkv, *(conv(qkv) for conv in self.multiscale)], dim=1)
        heads = qkv.shape[1] // (3 * HEAD_DIM)
        qkv_BGDN = qkv.reshape(x_BCHW.shape[0], heads, 3 * HEAD_DIM, -1)
        # Autocast would cast the products back.
        with without_autocast(qkv):
            qkv_BGDN = qkv_BGDN.to(at_least_float32(qkv))
            q_BGDN, k_BGDN, v_BGDN = torch.split(qkv_BGDN, HEAD_DIM, dim=2)
            q_BGDN, k_BGND = F.relu(q_BGDN), F.relu(k_BGDN).transpose(2, 3)
            out_BGDN = (v_BGDN @ k_BGND) @ q_BGDN
            weight_BG1N = k_BGND.sum(dim=2, keepdim=True) @ q_BGDN
            out_BGDN = out_BGDN / (weight_BG1N + self.eps)
        out_BCHW = out_BGDN.to(qkv.dtype).reshape(x_BCHW.shape[0], -1, *x_BCHW.shape[2:])
        return self.norm(self.proj(out_BCHW))


class GatedConvMLP(nn.Module):
    """GLUMBConv: expand by 1x1, mix by depthwise 3x3, gate one half with the other, project by 1x1, norm."""

    expansion = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = self.expansion * channels
        self.inverted_conv = nn.Conv2d(channels, 2 * hidden, 1)
        self.depth_conv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.point_conv = nn.Conv2d(hidden, channels, 1, bias=False)
        self.norm = RMSNorm2d(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x, gate = self.depth_conv(F.silu(self.inverted_conv(x_BCHW))).chunk(2, dim=1)
        return self.norm(self.point_conv(x * F.silu(gate)))


class EfficientViTBlock(nn.Module):
    """Attention and gated MLP, each a residual branch that ends in its own norm; no norm comes first."""

    def __init__(self, channels: int, *, scales: tuple[int, ...]) -> None:
        super().__init__()
        self.attention = LinearAttention(channels, scales=scales)
        self.mlp = GatedConvMLP(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = x_BCHW + self.attention(x_BCHW)
        return x_BCHW + self.mlp(x_BCHW)
