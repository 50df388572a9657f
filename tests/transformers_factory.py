"""Tiny transformers for the latents of ``export_factory.TINY``."""

import torch
from torch import nn

from dcae_export.models.dit import DiT, DiTConfig
from dcae_export.models.random_weights import random_state
from dcae_export.models.transformer_presets import transformer_preset
from dcae_export.models.transformer_weights import TransformerCheckpoint
from dcae_export.models.uvit import UViT, UViTConfig
from dcae_export.models.weights import state_digest
from dcae_export.sampling.schedule import Diffusion

GRID = (4, 6)
TINY_DIT = DiTConfig(
    in_channels=4,
    patch=1,
    depth=2,
    width=32,
    heads=2,
    num_classes=10,
    grid=GRID,
    learned_variance=True,
)
TINY_UVIT = UViTConfig(
    in_channels=4, patch=1, depth=2, width=32, heads=2, num_classes=10, grid=GRID
)
# By the kind of their schedules, of DiT, U-ViT and U-ViT with the flow of SiT.
LINEAR, SCALED_LINEAR, FLOW = (
    transformer_preset(name, autoencoder="f32").diffusion for name in ("dit-xl", "uvit-h", "usit-h")
)


def tiny_transformer(
    config: DiTConfig | UViTConfig, diffusion: Diffusion, *, sampler: str, seed: int = 0
) -> TransformerCheckpoint:
    """Random weights, none of them neutral."""
    network: type[nn.Module] = DiT if isinstance(config, DiTConfig) else UViT
    with torch.device("meta"):
        module = network(config)
    state = random_state(module, seed=seed)
    return TransformerCheckpoint(
        config=config,
        preset="custom",
        diffusion=diffusion,
        default_sampler=sampler,
        default_guidance=1.5,
        state=state,
        source=f"random:{seed}",
        sha256=state_digest(state),
        licence=None,
    )
