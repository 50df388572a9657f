"""Checkpoints of diffusion transformers: load, check, build, save.

Our keys are the official ones. Each tensor of a file is used exactly once; DiT's table of positions, which is
no weight, is compared with the computed one and left out. What was trained here says in its config.json what it is;
of others the name has to be known.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import torch
from torch import Tensor

from dcae_export.errors import UsageError, WeightsError
from dcae_export.models.checkpoint_folder import locate, save_folder
from dcae_export.models.dit import DiT, DiTConfig, SinCosPositions
from dcae_export.models.halves import split_checkpoint
from dcae_export.models.identity import CUSTOM
from dcae_export.models.key_map import Entry, Layout
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.random_weights import random_state
from dcae_export.models.state import collect, state_digest
from dcae_export.models.tensor_files import read_json_object, read_tensors
from dcae_export.models.transformer_declaration import (
    TransformerDeclaration,
    is_declaration,
)
from dcae_export.models.transformer_presets import (
    TRANSFORMERS,
    is_of_size,
    transformer_name,
    transformer_preset,
)
from dcae_export.models.uvit import UViT, UViTConfig
from dcae_export.random_name import is_random, random_name
from dcae_export.sampling.schedule import Diffusion

_POSITIONS = "pos_embed"
# A stored table may be rounded to bfloat16, by 2^-9 of at most 1. In another order of its halves, or of another
# grid, it is off by more than 1 somewhere.
POSITION_TOLERANCE = 2.0**-8


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerCheckpoint:
    """Weights of one diffusion transformer, and how it is sampled.

    ``preset`` is ``"custom"`` for what was trained here, and then ``trained_on`` is the autoencoder of its latents;
    ``class_names`` are None where it knows none. ``other_grids`` (rows, columns) are what training has seen beside the
    configuration's. ``state`` is in our keys and float32; its tensors may be views of
    the mapped file. ``sha256`` is ``state_digest(state)``. ``licence`` is None where the source states none.
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
    class_names: tuple[str, ...] | None = None
    trained_on: LatentSource | None = None
    other_grids: tuple[tuple[int, int], ...] = ()

    @property
    def has_random_weights(self) -> bool:
        """Whether the weights were drawn: they are of no use but to try."""
        return is_random(self.source)

    @property
    def name(self) -> str:
        """What messages call it: its preset's name, or where it is from."""
        return self.source if self.preset == CUSTOM else self.preset


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
    path: Path, *, name: str | None = None, autoencoder: str | None = None
) -> TransformerCheckpoint:
    """Read a weights file or a folder with one; the file may hold the autoencoder as well.

    Args:
        path: The file or folder.
        name: Which transformer it is, a backbone's or a published one's name. None leaves that to config.json; what
            was trained here and says so is compared with the name.
        autoencoder: Whose latents it is for; of no use to what was trained here.

    Raises:
        WeightsError: The file is malformed, or not exactly the transformer that it should be.
        RefusedError: A pickle that holds more than tensors.
        UsageError: No such transformer or autoencoder, or config.json does not say what the file is.
    """
    if name is not None and autoencoder is not None:
        transformer_name(name, autoencoder=autoencoder)
    files = locate(path)
    stored = read_tensors(files.weights)
    content = {} if files.config is None else read_json_object(files.config)
    try:
        if is_declaration(content):
            declaration = TransformerDeclaration.read(content)
            _refuse_another_size(declaration, name)
            return _declared(declaration, stored, source=str(path), licence=files.licence)
        name, autoencoder = _known(content.get("model_name"), name, autoencoder)
        full = transformer_name(name, autoencoder=autoencoder)
        config = transformer_preset(name, autoencoder=autoencoder).config
        _refuse_another(content.get("model_name"), full)
        state = _state(stored, config, of=full)
    except (UsageError, WeightsError) as error:
        raise type(error)(f"{path}: {error}") from error
    return _checkpoint(name, autoencoder, state=state, source=str(path), licence=files.licence)


def save_transformer(
    declaration: TransformerDeclaration, state: dict[str, Tensor], folder: Path, *, force: bool
) -> None:
    """Write a folder with config.json and one safetensors file; it appears whole or not at all.

    Args:
        declaration: What the network is.
        state: Its weights in our keys.
        folder: The target.
        force: Replace a checkpoint that is there.

    Raises:
        InputError: The folder exists and ``force`` is off, or cannot be written.
        ResourceError: The disk is full.
    """
    tensors = {name: tensor.contiguous() for name, tensor in state.items()}
    save_folder(
        folder,
        config=declaration.content(),
        tensors=tensors,
        layout=Layout.DIFFUSERS,
        force=force,
    )


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
    return _checkpoint(name, autoencoder, state=state, source=random_name(seed), licence=None)


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


def _declared(
    declaration: TransformerDeclaration,
    stored: dict[str, Tensor],
    *,
    source: str,
    licence: str | None,
) -> TransformerCheckpoint:
    config = declaration.config()
    state = _state(stored, config, of="what config.json says")
    return TransformerCheckpoint(
        config=config,
        preset=CUSTOM,
        diffusion=declaration.diffusion(),
        default_sampler=declaration.default_sampler,
        default_guidance=declaration.default_guidance,
        state=state,
        source=source,
        sha256=state_digest(state),
        licence=licence,
        class_names=declaration.class_names,
        trained_on=declaration.autoencoder,
        other_grids=declaration.other_grids,
    )


def _refuse_another_size(declaration: TransformerDeclaration, name: str | None) -> None:
    if name is not None and not is_of_size(name, declaration.config(), declaration.diffusion()):
        raise WeightsError(
            f"a training of another network than {name}; it says itself what it is, so leave the name out"
        )


def _known(model_name: object, name: str | None, autoencoder: str | None) -> tuple[str, str]:
    """The names to go by: those that were given, else those of the transformer that config.json names."""
    if name is None and isinstance(model_name, str) and model_name in TRANSFORMERS:
        return model_name, autoencoder or TRANSFORMERS[model_name].autoencoder
    if name is None or autoencoder is None:
        raise UsageError("nothing says which transformer this is, and on whose latents")
    return name, autoencoder


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
    found = stored[_POSITIONS]
    # The shape first: a table of the size that a stranger's config.json says may be larger than the memory.
    if found.shape != (1, rows * columns, config.width) or not torch.allclose(
        found.float(),
        SinCosPositions(config.width)(rows, columns)[None],
        rtol=0.0,
        atol=POSITION_TOLERANCE,
    ):
        raise WeightsError(
            f"{_POSITIONS} is not the table of {rows}x{columns} positions at width {config.width}"
        )
    return {name: tensor for name, tensor in stored.items() if name != _POSITIONS}
