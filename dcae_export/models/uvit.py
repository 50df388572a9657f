"""U-ViT, a diffusion transformer with the skips of a U-Net: configuration and network.

What is notable:
- timestep and label are tokens like the others: [label, time, patches...];
- the first half of the blocks hands its outputs to the second half, last to first;
- positions are learned for one grid; a latent of another one gets them interpolated, and ``resize_positions`` makes
  the network one of that grid.

Shape suffixes: B batch, C latent channels, H and W the latent's sides, h rows and w columns of tokens,
N = h * w tokens, S = N and the extra tokens, D width, P values of a patch. Module names are those of the
published checkpoints. Bao et al., arXiv 2209.12152.
"""

import dataclasses
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcae_export.errors import ConfigError
from dcae_export.models.timestep import TimestepFeatures
from dcae_export.models.transformer_config import TransformerConfig
from dcae_export.models.transformer_layers import (
    MLP,
    LabelEmbedding,
    PatchEmbedding,
    SelfAttention,
    unpatchify,
)

NORM_EPS = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class UViTConfig(TransformerConfig):
    """A U-ViT; ``depth`` counts the blocks without the one in the middle."""

    def __post_init__(self) -> None:
        TransformerConfig.__post_init__(self)  # super() does not survive slots=True.
        if self.depth % 2:
            raise ConfigError(
                f"transformer: depth {self.depth} cannot be halved around the middle; "
                "it has to be even"
            )
        if self.width % 2:
            raise ConfigError(f"transformer: width {self.width} is no pair of sine and cosine")

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.in_channels

    @property
    def time_features(self) -> int:
        """Width of the features of a timestep: those of a token."""
        return self.width

    @property
    def num_extra_tokens(self) -> int:
        """Tokens before the patches: the label's, where there are classes, and the timestep's."""
        return 1 if self.num_classes is None else 2


class UViTBlock(nn.Module):
    """Attention and MLP, each a residual branch behind a norm; with ``skip`` it first takes in an earlier output."""

    def __init__(self, width: int, *, heads: int, skip: bool = False) -> None:
        super().__init__()
        if skip:
            self.skip_linear = nn.Linear(2 * width, width)
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = SelfAttention(width, heads=heads, qkv_bias=False)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = MLP(width, activation=nn.GELU())

    def forward(self, x_BSD: Tensor, skip_BSD: Tensor | None = None) -> Tensor:
        if skip_BSD is not None:
            x_BSD = self.skip_linear(torch.cat([x_BSD, skip_BSD], dim=-1))
        x_BSD = x_BSD + self.attn(self.norm1(x_BSD))
        return x_BSD + self.mlp(self.norm2(x_BSD))


class UViT(nn.Module):
    """Noisy latent, timestep and label to what the network was trained to predict."""

    def __init__(self, config: UViTConfig) -> None:
        super().__init__()
        self.config = config
        rows, columns = config.token_grid
        width, half = config.width, config.depth // 2
        self.patch_embed = PatchEmbedding(config.in_channels, width, patch=config.patch)
        self.time_features = TimestepFeatures(width)
        if config.num_classes is not None:
            self.label_emb = LabelEmbedding(config.num_classes, width)
        self.pos_embed = nn.Parameter(
            torch.zeros(1, config.num_extra_tokens + rows * columns, width)
        )
        self.in_blocks = nn.ModuleList(UViTBlock(width, heads=config.heads) for _ in range(half))
        self.mid_block = UViTBlock(width, heads=config.heads)
        self.out_blocks = nn.ModuleList(
            UViTBlock(width, heads=config.heads, skip=True) for _ in range(half)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.decoder_pred = nn.Linear(width, config.patch**2 * config.in_channels)

    def forward(self, latent: Tensor, timestep: Tensor, label: Tensor | None = None) -> Tensor:
        """One prediction for each latent of a batch.

        Args:
            latent: (B, C, H, W) float32, scaled; on another grid than the configuration's, positions are interpolated
                as by ``resize_positions``.
            timestep: (B,) float32, in the units of training.
            label: (B,) int64 from 0 to ``num_classes``, the null class; None if and only if there are no classes.

        Returns:
            (B, C, H, W) float32.

        Raises:
            ValueError: H or W is no multiple of the patch.
        """
        assert (label is None) == (self.config.num_classes is None), "labels go with classes"
        time_B1D = self.time_features(timestep)[:, None]
        x_BDhw = self.patch_embed(latent)
        rows, columns = x_BDhw.shape[2:]
        tokens = [time_B1D, x_BDhw.flatten(2).transpose(1, 2)]
        if label is not None:
            tokens.insert(0, self.label_emb(label)[:, None])
        positions = _positions_on(self.pos_embed, self.config, token_grid=(rows, columns))
        x_BSD = torch.cat(tokens, dim=1) + positions
        skips: list[Tensor] = []
        for block in self.in_blocks:
            x_BSD = block(x_BSD)
            skips.append(x_BSD)
        x_BSD = self.mid_block(x_BSD)
        for block in self.out_blocks:
            x_BSD = block(x_BSD, skips.pop())
        # Each token for itself from here on: the extra ones have done their part.
        patches_BNP = self.decoder_pred(self.norm(x_BSD[:, self.config.num_extra_tokens :]))
        return unpatchify(patches_BNP, rows, columns, patch=self.config.patch)


def resize_positions(
    state: dict[str, Tensor], config: UViTConfig, *, grid: tuple[int, int]
) -> tuple[dict[str, Tensor], UViTConfig]:
    """The same network for latents of another ``grid`` (rows, columns): positions interpolated, bicubic.

    The vectors of the extra tokens stay. On a grid that training has not seen, quality is that of a stretched map
    of positions, not of a network of that size.

    Returns:
        A new state that shares all other tensors, and its configuration.

    Raises:
        ConfigError: The grid is no multiple of the patch.
    """
    resized = dataclasses.replace(config, grid=grid)
    if grid == config.grid:
        return state, config
    positions = _positions_on(state["pos_embed"], config, token_grid=resized.token_grid)
    return state | {"pos_embed": positions}, resized


def _positions_on(pos_embed: Tensor, config: UViTConfig, *, token_grid: tuple[int, int]) -> Tensor:
    """Vectors (1, S, D) for the extra tokens and a grid of tokens, from those of the configuration's."""
    if token_grid == config.token_grid:
        return pos_embed
    extra, patches = pos_embed.tensor_split([config.num_extra_tokens], dim=1)
    plane = patches.transpose(1, 2).reshape(1, config.width, *config.token_grid)
    plane = F.interpolate(plane, token_grid, mode="bicubic", align_corners=False)
    return torch.cat([extra, plane.flatten(2).transpose(1, 2)], dim=1)
