"""The tiny bundles of the suite, made by the exporter: random weights, every form that a manifest can have."""

from pathlib import Path

import torch
from torch import nn

from dcae_export.export.exporter import TransformerExport, export
from dcae_export.export.options import ExportOptions
from dcae_export.models.autoencoder import (
    Activation,
    AttentionStage,
    AutoencoderConfig,
    DecoderConfig,
    Downsampling,
    EncoderConfig,
    Norm,
    ResStage,
    Upsampling,
)
from dcae_export.models.dit import DiT, DiTConfig
from dcae_export.models.network import build
from dcae_export.models.random_weights import random_state
from dcae_export.models.state import state_digest
from dcae_export.models.transformer_presets import transformer_preset
from dcae_export.models.transformer_weights import TransformerCheckpoint
from dcae_export.models.uvit import UViT, UViTConfig
from dcae_export.models.weights import AutoencoderCheckpoint
from dcae_export.sampling.schedule import Diffusion

# One halving, with every kind of layer of a DC-AE.
AUTOENCODER = AutoencoderConfig(
    encoder=EncoderConfig(
        stages=(ResStage(width=16, depth=1), AttentionStage(width=32, depth=1)),
        downsampling=Downsampling.CONV_PIXEL_UNSHUFFLE,
        latent_shortcut=True,
    ),
    decoder=DecoderConfig(
        stages=(
            ResStage(width=16, depth=1, norm=Norm.BATCH, activation=Activation.RELU),
            AttentionStage(width=32, depth=1),
        ),
        upsampling=Upsampling.CONV_PIXEL_SHUFFLE,
        latent_shortcut=True,
        out_activation=Activation.RELU,
    ),
    latent_channels=4,
    scaling_factor=0.5,
)
GRID = (4, 6)
NUM_CLASSES = 5
CLASS_NAMES = ("red, scarlet", "green", "blue, azure", "Grau, grey", "black")

_DIT = DiTConfig(
    in_channels=4,
    patch=1,
    depth=2,
    width=32,
    heads=2,
    num_classes=NUM_CLASSES,
    grid=GRID,
    learned_variance=True,
)
_UVIT = UViTConfig(
    in_channels=4, patch=1, depth=2, width=32, heads=2, num_classes=NUM_CLASSES, grid=GRID
)
_UNCONDITIONAL_UVIT = UViTConfig(
    in_channels=4, patch=1, depth=2, width=32, heads=2, num_classes=None, grid=GRID
)
_LINEAR, _SCALED_LINEAR, _FLOW = (
    transformer_preset(name, autoencoder="f32").diffusion for name in ("dit-xl", "uvit-h", "usit-h")
)


def export_bundles(folder: Path) -> dict[str, Path]:
    """Export the suite's bundles into ``folder``.

    Returns:
        Their folders by name. ``class``: a DiT with labels and a learned variance, any size. ``flow``: a U-ViT
        without labels, over a flow. ``fixed``: a U-ViT with labels that takes features of the time, a fixed
        size and batch, pictures of bytes. ``mixed``: a U-ViT with labels, in float16 but for islands.
    """
    height, width = (side * AUTOENCODER.downsample for side in GRID)
    fixed = ExportOptions(
        target="web", size=(height, width), batch=2, image_io=True, simplifier="none"
    )
    mixed = ExportOptions(target="cuda", precision="fp16", simplifier="none")
    return {
        "class": _export(folder / "class", _DIT, _LINEAR, ("ddpm:4", "dpmpp-2m:5", "ddim:3")),
        "flow": export_flow(
            folder / "flow", ("dopri5:6", "heun:4", "rk4:4", "euler:3", "dpmpp-3m:6")
        ),
        "fixed": _export(
            folder / "fixed", _UVIT, _SCALED_LINEAR, ("dpmpp-singlestep:5", "ddpm:3"), fixed
        ),
        "mixed": _export(folder / "mixed", _UVIT, _SCALED_LINEAR, ("dpmpp-2m:4",), mixed),
    }


def export_flow(target: Path, samplers: tuple[str, ...]) -> Path:
    """Export a U-ViT without labels, over a flow; returns the bundle's folder."""
    return _export(target, _UNCONDITIONAL_UVIT, _FLOW, samplers)


def _export(
    target: Path,
    config: DiTConfig | UViTConfig,
    diffusion: Diffusion,
    samplers: tuple[str, ...],
    options: ExportOptions | None = None,
) -> Path:
    checkpoint = _transformer(config, diffusion, samplers[0])
    names = None if config.num_classes is None else CLASS_NAMES
    return export(
        _autoencoder(),
        target,
        ExportOptions(simplifier="none") if options is None else options,
        transformer=TransformerExport(checkpoint=checkpoint, samplers=samplers, class_names=names),
        force=True,
    )


def _autoencoder() -> AutoencoderCheckpoint:
    with torch.device("meta"):
        network = build(AUTOENCODER)
    state = random_state(network, seed=0)
    return AutoencoderCheckpoint(
        config=AUTOENCODER,
        preset="custom",
        state=state,
        source="random:0",
        sha256=state_digest(state),
        licence=None,
    )


def _transformer(
    config: DiTConfig | UViTConfig, diffusion: Diffusion, sampler: str
) -> TransformerCheckpoint:
    network: type[nn.Module] = DiT if isinstance(config, DiTConfig) else UViT
    with torch.device("meta"):
        module = network(config)
    state = random_state(module, seed=1)
    return TransformerCheckpoint(
        config=config,
        preset="custom",
        diffusion=diffusion,
        default_sampler=sampler,
        default_guidance=1.5,
        state=state,
        source="random:1",
        sha256=state_digest(state),
        licence=None,
    )
