"""Checkpoints of autoencoders: load, check, build, save.

A checkpoint is read in the official or the diffusers layout and held in our keys, in float32. Each tensor of
a file is used exactly once; what a file holds is told from its tensors and its config.json, never from its
name.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dcae_export.errors import ConfigError, WeightsError
from dcae_export.models.checkpoint_folder import locate, save_folder
from dcae_export.models.halves import split_checkpoint
from dcae_export.models.identity import identify
from dcae_export.models.key_map import Layout, detect_layout
from dcae_export.models.network import Network, NetworkConfig, build, entries, to_diffusers
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.random_weights import random_state
from dcae_export.models.sd_vae_keys import current_names
from dcae_export.models.state import collect, state_digest
from dcae_export.models.tensor_files import read_json_object, read_tensors
from dcae_export.random_name import is_random, random_name


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderCheckpoint:
    """Weights of one autoencoder.

    ``preset`` is ``"custom"`` where no preset has the configuration. ``state`` is in our keys and float32
    (``num_batches_tracked`` int64); its tensors may be views of the mapped file. ``sha256`` is
    ``state_digest(state)``. ``licence`` is None where the source states none.
    """

    config: NetworkConfig
    preset: str
    state: dict[str, Tensor]
    source: str
    sha256: str
    licence: str | None

    @property
    def has_random_weights(self) -> bool:
        """Whether the weights were drawn: they are of no use but to try."""
        return is_random(self.source)


def load_checkpoint(path: Path, *, variant: str | None = None) -> AutoencoderCheckpoint:
    """Read a weights file (.safetensors, its shards' index, .pt, .pth, .ckpt) or a folder with config.json.

    A lone file is known by its tensors if only one preset has them; otherwise ``variant`` is needed. Of a file
    that holds a diffusion transformer as well, the autoencoder is read.

    Raises:
        WeightsError: The file is malformed, or not exactly the autoencoder that it should be.
        RefusedError: A pickle that holds more than tensors.
        UsageError: No such variant.
    """
    files = locate(path)
    stored = current_names(read_tensors(files.weights))
    declaration = None if files.config is None else read_json_object(files.config)
    try:
        stored = split_checkpoint(stored).autoencoder or stored
        layout = detect_layout(stored)
        shapes = {name: tuple(tensor.shape) for name, tensor in stored.items()}
        identity = identify(declaration, shapes, layout, variant=variant)
        state = collect(stored, entries(identity.config, layout), of=identity.preset)
    except (WeightsError, ConfigError) as error:
        raise type(error)(f"{path}: {error}") from error
    return AutoencoderCheckpoint(
        config=identity.config,
        preset=identity.preset,
        state=state,
        source=str(path),
        sha256=state_digest(state),
        licence=files.licence,
    )


def random_checkpoint(variant: str, *, seed: int) -> AutoencoderCheckpoint:
    """Random weights for a published autoencoder: the same for the same seed, of no use for pictures.

    Raises:
        UsageError: No such variant.
    """
    name = preset_name(variant)
    config = PRESETS[name].config
    with torch.device("meta"):
        network = build(config)
    state = random_state(network, seed=seed)
    return AutoencoderCheckpoint(
        config=config,
        preset=name,
        state=state,
        source=random_name(seed),
        sha256=state_digest(state),
        licence=None,
    )


def load_autoencoder(checkpoint: AutoencoderCheckpoint) -> Network:
    """The networks of a checkpoint, for inference; they share the checkpoint's tensors."""
    with torch.device("meta"):
        network = build(checkpoint.config)
    network.load_state_dict(checkpoint.state, strict=True, assign=True)
    return network.eval().requires_grad_(requires_grad=False)


def save_checkpoint(
    checkpoint: AutoencoderCheckpoint, folder: Path, *, layout: Layout, force: bool = False
) -> None:
    """Write a folder with config.json and one safetensors file; it appears whole or not at all.

    Raises:
        InputError: The folder exists and ``force`` is off, or cannot be written.
        ConfigError: The layout has no way to say what the configuration is.
        ResourceError: The disk is full.
    """
    if layout is Layout.DIFFUSERS:
        config = to_diffusers(checkpoint.config)
    elif checkpoint.preset in PRESETS:
        config: dict[str, object] = {"model_name": checkpoint.preset}
    else:
        raise ConfigError(
            "the official layout can only name a published autoencoder; use the diffusers layout"
        )
    tensors: dict[str, Tensor] = {}
    for entry in entries(checkpoint.config, layout):
        tensors.update(entry.split(checkpoint.state[entry.key].contiguous()))
    save_folder(folder, config=config, tensors=tensors, layout=layout, force=force)


def convert(
    source: Path, target: Path, *, layout: Layout, variant: str | None = None, force: bool = False
) -> AutoencoderCheckpoint:
    """Write a checkpoint in another layout; what was read is returned.

    Raises:
        DcaeError: As ``load_checkpoint`` and ``save_checkpoint``.
    """
    checkpoint = load_checkpoint(source, variant=variant)
    save_checkpoint(checkpoint, target, layout=layout, force=force)
    return checkpoint
