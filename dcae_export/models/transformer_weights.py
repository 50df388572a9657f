"""Checkpoints of diffusion transformers: load, check, build.

Our keys are the official ones. Each tensor of a file is used exactly once; DiT's table of positions, which is
no weight, is compared with the computed one and left out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import torch
from torch import Tensor

from dcae_export.errors import WeightsError
from dcae_export.models.checkpoint_folder import locate
from dcae_export.models.dit import DiT, DiTConfig, SinCosPositions
from dcae_export.models.halves import split_checkpoint
from dcae_export.models.initialization import random_state
from dcae_export.models.key_map import Entry
from dcae_export.models.state import collect, state_digest
from dcae_export.models.tensor_files import read_json_object, read_tensors
from dcae_export.models.transformer_presets import (
    TRANSFORMERS,
    transformer_name,
    transformer_preset,
)
from dcae_export.models.uvit import UViT, UViTConfig
from dcae_export.sampling.schedule import Diffusion

_POSITIONS = "pos_embed"
# A stored table may be rounded to bfloat16, by 2^-9 of at most 1. In another order of its halves, or of another
# grid, it is off by more than 1 somewhere.
POSITION_TOLERANCE = 2.0**-8


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerCheckpoint:
    """Weights of one diffusion transformer, and how it is sampled.

    ``state`` is in our keys and float32; its tensors may be views of the mapped file. ``sha256`` is
    ``state_digest(state)``. ``licence`` is None where the source states none.
    """

    config: DiTConfig | UViTConfig
    preset: str
    diffusion: Diffusion
    default_sampler: str
    default_guidance: float
    state: dict[str, Tensor]
    source: str
    sha256: str
    licence: str | None


def build_transformer(config: DiTConfig | UViTConfig) -> DiT | UViT:
    """The network of a configuration, with PyTorch's own starting values."""
    match config:
        case DiTConfig():
            return DiT(config)
        case UViTConfig():
            return UViT(config)
        case _:
            assert_never(config)


def load_transformer_checkpoint(
    path: Path, *, name: str, autoencoder: str
) -> TransformerCheckpoint:
    """Read a weights file or a folder with one; the file may hold the autoencoder as well.

    Raises:
        WeightsError: The file is malformed, or not exactly the transformer that it should be.
        RefusedError: A pickle that holds more than tensors.
        UsageError: No such transformer or autoencoder.
    """
    full = transformer_name(name, autoencoder=autoencoder)
    config = transformer_preset(name, autoencoder=autoencoder).config
    files = locate(path)
    stored = read_tensors(files.weights)
    declaration = {} if files.config is None else read_json_object(files.config)
    try:
        _refuse_another(declaration.get("model_name"), full)
        state = _state(stored, config, of=full)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return _checkpoint(name, autoencoder, state=state, source=str(path), licence=files.licence)


def random_transformer_checkpoint(
    name: str, *, autoencoder: str, seed: int
) -> TransformerCheckpoint:
    """Random weights: the same for the same seed, of no use for pictures.

    Raises:
        UsageError: No such transformer or autoencoder.
    """
    config = transformer_preset(name, autoencoder=autoencoder).config
    with torch.device("meta"):
        network = build_transformer(config)
    state = random_state(network, seed=seed)
    return _checkpoint(name, autoencoder, state=state, source=f"random:{seed}", licence=None)


def load_transformer(checkpoint: TransformerCheckpoint) -> DiT | UViT:
    """The network of a checkpoint, for inference; it shares the checkpoint's tensors."""
    with torch.device("meta"):
        network = build_transformer(checkpoint.config)
    network.load_state_dict(checkpoint.state, strict=True, assign=True)
    return network.eval().requires_grad_(requires_grad=False)


def _checkpoint(
    name: str, autoencoder: str, *, state: dict[str, Tensor], source: str, licence: str | None
) -> TransformerCheckpoint:
    preset = transformer_preset(name, autoencoder=autoencoder)
    return TransformerCheckpoint(
        config=preset.config,
        preset=transformer_name(name, autoencoder=autoencoder),
        diffusion=preset.diffusion,
        default_sampler=preset.default_sampler,
        default_guidance=preset.default_guidance,
        state=state,
        source=source,
        sha256=state_digest(state),
        licence=licence,
    )


def _refuse_another(model_name: object, wanted: str) -> None:
    """Networks of one size differ in their weights only: config.json may know what the tensors cannot tell."""
    if isinstance(model_name, str) and model_name != wanted and model_name in TRANSFORMERS:
        raise WeightsError(f"config.json says {model_name}, but {wanted} was asked for")


def _state(
    stored: dict[str, Tensor], config: DiTConfig | UViTConfig, *, of: str
) -> dict[str, Tensor]:
    transformer = split_checkpoint(stored).transformer
    if not transformer:
        raise WeightsError("holds no diffusion transformer")
    return collect(_without_fixed_positions(transformer, config), _entries(config), of=of)


def _entries(config: DiTConfig | UViTConfig) -> tuple[Entry, ...]:
    with torch.device("meta"):
        tensors = build_transformer(config).state_dict()
    return tuple(
        Entry(key=key, shape=tuple(tensor.shape), names=(key,), stored_shape=tuple(tensor.shape))
        for key, tensor in tensors.items()
    )


def _without_fixed_positions(
    stored: dict[str, Tensor], config: DiTConfig | UViTConfig
) -> dict[str, Tensor]:
    if isinstance(config, UViTConfig) or _POSITIONS not in stored:
        return stored
    rows, columns = config.token_grid
    computed = SinCosPositions(config.width)(rows, columns)[None]
    found = stored[_POSITIONS]
    if found.shape != computed.shape or not torch.allclose(
        found.float(), computed, rtol=0.0, atol=POSITION_TOLERANCE
    ):
        raise WeightsError(
            f"{_POSITIONS} is not the table of {rows}x{columns} positions at width {config.width}"
        )
    return {name: tensor for name, tensor in stored.items() if name != _POSITIONS}
