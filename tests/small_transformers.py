"""Small diffusion transformers, no tensor of them neutral, and inputs for them."""

import numpy as np
import torch
from autoencoders import random_input
from torch import Tensor

from dcae_export.models.dit import DiT, DiTConfig
from dcae_export.models.random_weights import random_state
from dcae_export.models.transformer_weights import build_transformer
from dcae_export.models.uvit import UViT, UViTConfig

# Patches of 2, so that the order inside a patch counts, and a grid whose sides differ where it may.
SMALL_DIT = DiTConfig(
    in_channels=3,
    patch=2,
    depth=2,
    width=24,
    heads=3,
    num_classes=5,
    learned_variance=True,
    grid=(8, 8),
)
SMALL_UVIT = UViTConfig(
    in_channels=3, patch=2, depth=4, width=24, heads=3, num_classes=5, grid=(6, 8)
)


def random_transformer(config: DiTConfig | UViTConfig, *, seed: int = 0) -> DiT | UViT:
    """The network with random weights, for inference."""
    network = build_transformer(config)
    network.load_state_dict(random_state(network, seed=seed))
    return network.eval().requires_grad_(requires_grad=False)


def transformer_inputs(
    config: DiTConfig | UViTConfig,
    *,
    grid: tuple[int, int] | None = None,
    batch: int = 2,
) -> tuple[Tensor, ...]:
    """A latent, timesteps of the whole range and, where there are classes, labels; the last is the null class."""
    latent = random_input(batch, config.in_channels, *(grid or config.grid))
    timestep = torch.from_numpy(np.linspace(0.5, 999.0, batch, dtype=np.float32))
    if config.num_classes is None:
        return latent, timestep
    label = torch.arange(config.num_classes - batch + 1, config.num_classes + 1)
    return latent, timestep, label
