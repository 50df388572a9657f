"""What a run leaves when it reaches its last step: a checkpoint, an autoencoder's in the diffusers layout."""

import dataclasses
import math
from pathlib import Path

from torch import Tensor

from dcae_export.errors import TrainingError
from dcae_export.models.finished_run import MODEL_NAME
from dcae_export.models.identity import CUSTOM
from dcae_export.models.key_map import Layout
from dcae_export.models.network import NetworkConfig
from dcae_export.models.state import state_digest
from dcae_export.models.transformer_declaration import TransformerDeclaration
from dcae_export.models.transformer_weights import save_transformer
from dcae_export.models.weights import AutoencoderCheckpoint, save_checkpoint


def write_model(
    run: Path, *, config: NetworkConfig, state: dict[str, Tensor], scaling_factor: float
) -> Path:
    """Write RUN/model, which ``--weights RUN`` reads, in place of the one before.

    Args:
        run: The run's folder.
        config: The configuration that was trained.
        state: The weights in our keys, float32, on the CPU.
        scaling_factor: 1 / RMS of the latents of the training data.

    Returns:
        The checkpoint's folder.

    Raises:
        TrainingError: The scaling factor or a weight is not finite.
        InputError: The folder cannot be written.
        ResourceError: The disk is full.
    """
    if not (math.isfinite(scaling_factor) and scaling_factor > 0):
        raise TrainingError(f"{run}: the scaling factor of the latents is {scaling_factor}")
    _require_finite(run, state)
    checkpoint = AutoencoderCheckpoint(
        config=dataclasses.replace(config, scaling_factor=scaling_factor),
        preset=CUSTOM,
        state=state,
        source=str(run),
        sha256=state_digest(state),
        licence=None,
    )
    save_checkpoint(checkpoint, run / MODEL_NAME, layout=Layout.DIFFUSERS, force=True)
    return run / MODEL_NAME


def write_transformer(
    run: Path, *, declaration: TransformerDeclaration, state: dict[str, Tensor]
) -> Path:
    """Write RUN/model, which ``--transformer-weights RUN`` reads, in place of the one before.

    Args:
        run: The run's folder.
        declaration: What was trained, and on which latents.
        state: The weights in our keys, float32, on the CPU.

    Returns:
        The checkpoint's folder.

    Raises:
        TrainingError: A weight is not finite.
        InputError: The folder cannot be written.
        ResourceError: The disk is full.
    """
    _require_finite(run, state)
    save_transformer(declaration, state, run / MODEL_NAME, force=True)
    return run / MODEL_NAME


def _require_finite(run: Path, state: dict[str, Tensor]) -> None:
    damaged = [name for name, tensor in state.items() if not bool(tensor.isfinite().all())]
    if damaged:
        raise TrainingError(f"{run}: {damaged[0]} is not finite, so there is no model to leave")
