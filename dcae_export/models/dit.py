"""DiT, a diffusion transformer conditioned through its norms: configuration and network.

What is notable:
- timestep and label act through norms only: shift, scale and gate of every branch are a linear map of the two,
  embedded, added and activated (adaLN-Zero, arXiv 2212.09748, section 3.2);
- positions are fixed sines and cosines, made for whatever grid comes in;
- a network that has learned the variance gives it as the second half of its output channels.

Shape suffixes: B batch, C latent channels, H and W the latent's sides, h rows and w columns of tokens,
N = h * w tokens, D width, P values of a patch. Module names are those of the published checkpoints.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcae_export.errors import ConfigError
from dcae_export.models.timestep import MAX_PERIOD, TimestepFeatures
from dcae_export.models.transformer_config import TransformerConfig
from dcae_export.models.transformer_layers import (
    MLP,
    LabelEmbedding,
    PatchEmbedding,
    SelfAttention,
    unpatchify,
)

NORM_EPS = 1e-6
TIME_FEATURES = 256
# Tokens along a side: 16384 pixels at 8x with patch 2, far more at 32x. A graph that takes every grid holds the
# table and cuts it, which is exact in every precision; sines of a run's own positions would not be.
MAX_POSITIONS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class DiTConfig(TransformerConfig):
    """A DiT; with ``learned_variance`` it gives twice as many channels as it takes."""

    learned_variance: bool

    def __post_init__(self) -> None:
        TransformerConfig.__post_init__(self)  # super() does not survive slots=True.
        if self.width % 4:
            raise ConfigError(
                f"transformer: width {self.width} is no multiple of 4, the sines and cosines of two axes"
            )

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return 2 * self.in_channels if self.learned_variance else self.in_channels

    @property
    def time_features(self) -> int:
        """Width of the features of a timestep."""
        return TIME_FEATURES


class SinCosPositions(nn.Module):
    """The fixed vectors (N, D) of a grid's tokens, row by row.

    The first half of the width tells the column, the second half the row. Each half is
    [sin(p f_k), cos(p f_k)], f_k = 10000^(-k / (D / 4)), with p counted from 0 whatever the grid's size:
    a grid other than training's neither stretches nor moves what was learned.
    """

    table: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        quarter = width // 4
        frequencies = 1.0 / MAX_PERIOD ** (np.arange(quarter) / quarter)
        angles = np.outer(np.arange(MAX_POSITIONS), frequencies)
        table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        # The device is named: a buffer that no checkpoint holds must have its values under torch.device("meta") too.
        values = torch.as_tensor(table.astype(np.float32), device="cpu")
        self.register_buffer("table", values, persistent=False)

    def forward(self, rows: int, columns: int) -> Tensor:
        half = self.table.shape[1]
        across = F.pad(self.table[:columns], (0, half))
        down = F.pad(self.table[:rows], (half, 0))
        return (down[:, None] + across[None]).flatten(0, 1)


class TimestepEmbedding(nn.Module):
    """Timestep (B,) to a vector (B, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = TimestepFeatures(TIME_FEATURES)
        self.mlp = nn.Sequential(
            nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, timestep: Tensor) -> Tensor:
        return self.mlp(self.features(timestep))


def _modulation(width: int, *, parts: int) -> nn.Sequential:
    """Condition (B, D) to ``parts`` vectors side by side."""
    return nn.Sequential(nn.SiLU(), nn.Linear(width, parts * width))


def _modulate(x_BND: Tensor, shift_B1D: Tensor, scale_B1D: Tensor) -> Tensor:
    return x_BND * (1 + scale_B1D) + shift_B1D


class DiTBlock(nn.Module):
    """Attention and MLP, each a residual branch behind a modulated norm and before a gate."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS, elementwise_affine=False)
        self.attn = SelfAttention(width, heads=heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS, elementwise_affine=False)
        self.mlp = MLP(width, activation=nn.GELU(approximate="tanh"))
        self.adaLN_modulation = _modulation(width, parts=6)

    def forward(self, x_BND: Tensor, condition_BD: Tensor) -> Tensor:
        parts = self.adaLN_modulation(condition_BD)[:, None].chunk(6, dim=-1)
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = parts
        x_BND = x_BND + gate_a * self.attn(_modulate(self.norm1(x_BND), shift_a, scale_a))
        return x_BND + gate_m * self.mlp(_modulate(self.norm2(x_BND), shift_m, scale_m))


class FinalLayer(nn.Module):
    """Tokens (B, N, D) to the values of their patches (B, N, P)."""

    def __init__(self, width: int, *, patch_values: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, eps=NORM_EPS, elementwise_affine=False)
        self.linear = nn.Linear(width, patch_values)
        self.adaLN_modulation = _modulation(width, parts=2)

    def forward(self, x_BND: Tensor, condition_BD: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(condition_BD)[:, None].chunk(2, dim=-1)
        return self.linear(_modulate(self.norm_final(x_BND), shift, scale))


class DiT(nn.Module):
    """Noisy latent, timestep and label to what the network was trained to predict."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        self.x_embedder = PatchEmbedding(config.in_channels, config.width, patch=config.patch)
        self.positions = SinCosPositions(config.width)
        self.t_embedder = TimestepEmbedding(config.width)
        if config.num_classes is not None:
            self.y_embedder = LabelEmbedding(config.num_classes, config.width)
        self.blocks = nn.ModuleList(
            DiTBlock(config.width, heads=config.heads) for _ in range(config.depth)
        )
        self.final_layer = FinalLayer(
            config.width, patch_values=config.patch**2 * config.out_channels
        )

    def forward(self, latent: Tensor, timestep: Tensor, label: Tensor | None = None) -> Tensor:
        """One prediction for each latent of a batch.

        Args:
            latent: (B, C, H, W) float32, scaled; H and W any multiples of the patch.
            timestep: (B,) float32, in the units of training.
            label: (B,) int64 from 0 to ``num_classes``, the null class; None if and only if there are no classes.

        Returns:
            (B, ``out_channels``, H, W) float32.

        Raises:
            ValueError: H or W is no multiple of the patch.
        """
        assert (label is None) == (self.config.num_classes is None), "labels go with classes"
        x_BDhw = self.x_embedder(latent)
        rows, columns = x_BDhw.shape[2:]
        x_BND = x_BDhw.flatten(2).transpose(1, 2) + self.positions(rows, columns)
        condition_BD = self.t_embedder(timestep)
        if label is not None:
            condition_BD = condition_BD + self.y_embedder(label)
        for block in self.blocks:
            x_BND = block(x_BND, condition_BD)
        patches_BNP = self.final_layer(x_BND, condition_BD)
        return unpatchify(patches_BNP, rows, columns, patch=self.config.patch)
