"""Small autoencoders of every published form, and diffusers' own ones to compare with."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dcae_export.models.autoencoder import AutoencoderConfig, Stage
from dcae_export.models.diffusers_config import to_diffusers as diffusers_fields
from dcae_export.models.network import NetworkConfig, build
from dcae_export.models.presets import PRESETS
from dcae_export.models.random_weights import random_state
from dcae_export.models.sd_vae_config import SDVAEConfig
from dcae_export.models.state import state_digest
from dcae_export.models.weights import AutoencoderCheckpoint

if TYPE_CHECKING:
    from diffusers import AutoencoderDC

SHRINKING = 16

# The published ones: the demo model is one of their graphs, small as it is.
DC_AE = [
    name
    for name, preset in PRESETS.items()
    if isinstance(preset.config, AutoencoderConfig) and preset.repository is not None
]

# An SD-VAE of one halving: every kind of its layers. Four channels to a group of the norms at the latent's
# width: over two numbers, as on a grid of one position, a norm is little more than their order.
TINY_SD_VAE = SDVAEConfig(block_out_channels=(64, 128), latent_channels=4, scaling_factor=0.5)


def shrink(config: AutoencoderConfig, *, depth: int | None = None) -> AutoencoderConfig:
    """The same graph at a sixteenth of the widths: every kind of layer, at thousandths of the cost.

    With ``depth``, at most so many blocks a stage: they are the same graph again, so that a second one shows what
    they share, a tenth nothing new.
    """

    def cut(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        return tuple(
            dataclasses.replace(
                stage,
                width=stage.width // SHRINKING,
                depth=stage.depth if depth is None else min(stage.depth, depth),
            )
            for stage in stages
        )

    return dataclasses.replace(
        config,
        encoder=dataclasses.replace(config.encoder, stages=cut(config.encoder.stages)),
        decoder=dataclasses.replace(config.decoder, stages=cut(config.decoder.stages)),
        latent_channels=config.latent_channels // SHRINKING,
    )


def small_checkpoint(config: NetworkConfig, *, seed: int = 0) -> AutoencoderCheckpoint:
    """Random weights, none of them neutral, for a configuration that no preset has."""
    with torch.device("meta"):
        network = build(config)
    state = random_state(network, seed=seed)
    return AutoencoderCheckpoint(
        config=config,
        preset="custom",
        state=state,
        source=f"random:{seed}",
        sha256=state_digest(state),
        licence=None,
    )


def to_diffusers(config: AutoencoderConfig, *, seed: int = 0) -> "AutoencoderDC":
    """diffusers' own autoencoder of this configuration, every tensor of it drawn at random."""
    # Seconds to import, for the few tests that need it.
    from diffusers import AutoencoderDC  # noqa: PLC0415

    with torch.device("meta"):
        autoencoder = AutoencoderDC.from_config(diffusers_fields(config))
    state = random_state(autoencoder, seed=seed)
    autoencoder.load_state_dict(state, strict=True, assign=True)
    return autoencoder.eval().requires_grad_(requires_grad=False)


def save_diffusers(autoencoder: "AutoencoderDC", folder: Path) -> Path:
    """Write a folder with diffusers' own code."""
    autoencoder.save_pretrained(folder)
    return folder


def random_input(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal values."""
    drawn = np.random.default_rng([seed, math.prod(shape)]).standard_normal(shape, dtype=np.float32)
    return torch.from_numpy(drawn)
