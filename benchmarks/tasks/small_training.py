"""The engine on networks that no preset has: a preset's graph with narrow widths and shallow stages."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from dcae_export.models.autoencoder import (
    AutoencoderConfig,
    DecoderConfig,
    EncoderConfig,
    Stage,
)
from dcae_export.models.network import Network
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
from dcae_export.training.autoencoder.training import AutoencoderTraining
from dcae_export.training.engine.engine import train
from dcae_export.training.engine.events import Event
from dcae_export.training.engine.protocols import Data
from dcae_export.training.engine.run_folder import RunFolder

# Where PhaseNetwork keeps the autoencoder.
_PREFIX = "network."


def narrow_config(
    variant: str, *, divisor: int, latent_channels: int, depth: int | None = None
) -> AutoencoderConfig:
    """A preset's configuration with widths divided and, with ``depth``, as many blocks a stage at most."""
    config = PRESETS[preset_name(variant)].config
    assert isinstance(config, AutoencoderConfig)

    def narrow(half: EncoderConfig | DecoderConfig) -> tuple[Stage, ...]:
        return tuple(
            dataclasses.replace(
                stage,
                width=stage.width // divisor,
                depth=stage.depth if depth is None else min(stage.depth, depth),
            )
            for stage in half.stages
        )

    return dataclasses.replace(
        config,
        encoder=dataclasses.replace(config.encoder, stages=narrow(config.encoder)),
        decoder=dataclasses.replace(config.decoder, stages=narrow(config.decoder)),
        latent_channels=latent_channels,
        scaling_factor=None,
    )


def train_network(
    network: Network,
    recipe: AutoencoderRecipe,
    data: Data[Tensor],
    folder: Path,
    *,
    on_event: Callable[[Event], None],
) -> dict[str, Tensor]:
    """Train in a new folder; the averaged weights, by the names of the network's state dict."""
    folder.mkdir(parents=True)
    samples = torch.zeros(1, 3, recipe.size, recipe.size)
    outcome = train(
        AutoencoderTraining(network, recipe, samples=samples),
        data,
        recipe.engine_settings(),
        RunFolder(folder),
        resume=False,
        on_event=on_event,
    )
    return {name.removeprefix(_PREFIX): tensor for name, tensor in outcome.weights.items()}
