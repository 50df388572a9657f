"""The inputs on which the gate compares a graph with PyTorch."""

import numpy as np
import torch
from torch import Tensor

from dcae_export.models.autoencoder import IMAGE_CHANNELS
from dcae_export.models.network import NetworkConfig

Grid = tuple[int, int, int]
"""(batch, height, width) on the latent grid."""


def pictures(config: NetworkConfig, grid: Grid | None, *, image_io: bool) -> dict[str, Tensor]:
    """Pictures by name, as the encoder's graph takes them: drawn first, then noise.

    Args:
        config: The network.
        grid: The one grid of static graphs; None for dynamic graphs.
        image_io: uint8 (B, H, W, 3) in place of float32 (B, 3, H, W) in [-1, 1].
    """
    rng = np.random.default_rng(0)
    made: dict[str, Tensor] = {}
    for name, (batch, rows, columns) in _grids(grid).items():
        height, width = rows * config.downsample, columns * config.downsample
        if name == "picture":
            levels = np.stack([_drawn(height, width, phase) for phase in range(batch)])
        else:
            levels = rng.integers(0, 256, (batch, height, width, IMAGE_CHANNELS), dtype=np.uint8)
        tensor = torch.as_tensor(levels)
        made[name] = (
            tensor if image_io else (tensor.permute(0, 3, 1, 2).float() / 127.5 - 1.0).contiguous()
        )
    return made


def latents(config: NetworkConfig, encoded: Tensor, grid: Grid | None) -> dict[str, Tensor]:
    """Raw latents by name: that of the drawn picture, then noise as wide as the data's latents."""
    rng = np.random.default_rng(1)
    scale = np.float32(1.0 / (config.scaling_factor or 1.0))
    made = {"picture": encoded}
    for name, (batch, rows, columns) in _grids(grid).items():
        if name != "picture":
            shape = (batch, config.latent_channels, rows, columns)
            made[name] = torch.as_tensor(rng.standard_normal(shape, dtype=np.float32) * scale)
    return made


def _grids(grid: Grid | None) -> dict[str, Grid]:
    """The (batch, height, width) that the gate tries.

    Dynamic graphs: a grid whose sides differ, because a 1x1 grid cannot tell rows from columns; a batch; and
    the smallest grid that the manifest promises.
    """
    if grid is None:
        return {"picture": (1, 2, 3), "noise": (2, 3, 2), "noise, smallest": (1, 1, 1)}
    return {"picture": grid}


def _drawn(height: int, width: int, phase: int) -> np.ndarray:
    """A picture with smooth shades and hard edges: (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = y / height, x / width
    disc = np.hypot(y - 0.4, x - 0.6) < 0.25
    red = 0.5 + 0.5 * np.sin(6 * x + 4 * y + phase)
    green = np.where(disc, 0.9, y)
    blue = np.where((8 * x).astype(int) % 2 == (8 * y).astype(int) % 2, 0.8, 0.2)
    return (255 * np.stack([red, green, blue], axis=-1)).astype(np.uint8)
