"""Layers that DiT and U-ViT share.

Shape suffixes: B batch, C latent channels, h rows and w columns of tokens, N = h * w tokens (and more where a
network adds some), D width, G heads, d head dimension, P = patch * patch * channels values of a token's patch.
No step has more than four dimensions: many runtimes end there.
"""

import torch.nn.functional as F
from torch import Tensor, nn

MLP_RATIO = 4


class PatchEmbedding(nn.Module):
    """Latent (B, C, H, W) to one vector for each patch: (B, D, H / patch, W / patch)."""

    def __init__(self, in_channels: int, width: int, *, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv2d(in_channels, width, patch, stride=patch)

    def forward(self, latent: Tensor) -> Tensor:
        height, width = latent.shape[2:]
        # The convolution would drop the last row or column without a word.
        if height % self.patch or width % self.patch:
            raise ValueError(f"a latent of {height}x{width} is no multiple of patch {self.patch}")
        return self.proj(latent)


def unpatchify(x_BNP: Tensor, rows: int, columns: int, *, patch: int) -> Tensor:
    """Patches, row by row, to (B, C, rows * patch, columns * patch).

    The values of a patch are in the order (row in the patch, column in the patch, channel).
    """
    batch, num_tokens, _ = x_BNP.shape
    if patch == 1:
        return x_BNP.transpose(1, 2).reshape(batch, -1, rows, columns)
    # pixel_shuffle wants the channel before the place in the patch.
    x_BCpN = x_BNP.reshape(batch, num_tokens, patch * patch, -1).permute(0, 3, 2, 1)
    return F.pixel_shuffle(x_BCpN.reshape(batch, -1, rows, columns), patch)


class LabelEmbedding(nn.Module):
    """Label (B,) int64 to a vector (B, D); label ``num_classes`` is the null class, "no label"."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(num_classes + 1, width)

    def forward(self, label: Tensor) -> Tensor:
        return self.embedding_table(label)


class SelfAttention(nn.Module):
    """Multi-head softmax attention of all tokens to all: (B, N, D) to (B, N, D).

    The rows of ``qkv`` are grouped as (q, k, v), then heads, then the head's own dimension.
    """

    def __init__(self, width: int, *, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        batch, num_tokens, width = x_BND.shape
        q_BGNd, k_BGNd, v_BGNd = (
            part.view(batch, num_tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x_BND).split(width, dim=-1)
        )
        out_BGNd = F.scaled_dot_product_attention(q_BGNd, k_BGNd, v_BGNd)
        return self.proj(out_BGNd.transpose(1, 2).reshape(batch, num_tokens, width))


class MLP(nn.Module):
    """Two linear layers around ``activation``, four times as wide in between."""

    def __init__(self, width: int, *, activation: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.activation = activation
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x_BND)))
