"""The transformer's graph: its interface, and the inputs that the gate will try."""

import dataclasses
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from dcae_export.bundle.manifest import AxisName, AxisRange, Dim, Port
from dcae_export.errors import UsageError
from dcae_export.export.autoencoder_jobs import MAX_BATCH, MAX_SIDE_PIXELS
from dcae_export.export.graph_export import GraphJob
from dcae_export.export.options import ExportOptions, latent_grid
from dcae_export.export.passes.take_time_features import take_time_features
from dcae_export.export.target import TARGETS, TimeInput
from dcae_export.export.trace import Signature
from dcae_export.export.trajectory import Trajectory
from dcae_export.models.dit import DiTConfig
from dcae_export.models.network import NetworkConfig
from dcae_export.models.timestep import TimestepFeatures
from dcae_export.models.transformer_weights import TransformerCheckpoint, load_transformer
from dcae_export.models.uvit import UViTConfig, resize_positions
from dcae_export.sampling.schedule import Diffusion

Grid = tuple[int, int]
"""Rows and columns of the latent."""

_SMALL_TOKENS = 8


def transformer_job(
    checkpoint: TransformerCheckpoint, options: ExportOptions, autoencoder: NetworkConfig
) -> GraphJob:
    """The job of a transformer that works on the latents of ``autoencoder``.

    A DiT computes its positions and takes any grid. A U-ViT has learned them: its graph is for the grid of its
    configuration, for that of ``options.size`` where it was trained on that one too, or for that of
    ``options.interpolate_positions``.

    Raises:
        UsageError: The latents or the size are not such as the transformer takes.
    """
    config = checkpoint.config
    if config.in_channels != autoencoder.latent_channels:
        raise UsageError(
            f"{checkpoint.name} takes latents of {config.in_channels} channels, the autoencoder makes "
            f"{autoencoder.latent_channels}; choose the transformer's own autoencoder"
        )
    wanted = options.grid(autoencoder.downsample)
    size = None if wanted is None else wanted[1:]
    match config:
        case DiTConfig():
            grid = size
        case UViTConfig():
            checkpoint = _resized(checkpoint, config, options, autoencoder.downsample)
            grid = checkpoint.config.grid
        case _:
            assert_never(config)
    batch = None if wanted is None else _batch(checkpoint, wanted[0])
    ranges = _ranges(grid, batch, config.patch * autoencoder.downsample)
    if grid is not None and any(side % config.patch for side in grid):
        step = config.patch * autoencoder.downsample
        raise UsageError(f"{checkpoint.name}: sides of a --size have to be multiples of {step} px")
    network = load_transformer(checkpoint)
    times = TARGETS[options.target].time_input
    if times is TimeInput.FEATURES:
        take_time_features(network)
    mixed = options.precision != "fp32"
    small = None if grid is None else _small(grid, config.patch)
    return GraphJob(
        name="transformer",
        module=network,
        signature=_signature(config, grid, batch, times),
        ranges=ranges,
        cases=_cases(config, checkpoint.diffusion, grid, batch, times),
        example="noise",
        small=_cases(config, checkpoint.diffusion, small, None, times) if mixed else {},
        trajectory=_trajectory(checkpoint, small) if mixed else None,
    )


def _small(grid: Grid, patch: int) -> Grid:
    """At most eight tokens along a side: twenty evaluations on a processor are to take minutes."""
    rows, columns = (min(side, _SMALL_TOKENS * patch) for side in grid)
    return rows, columns


def _trajectory(checkpoint: TransformerCheckpoint, small: Grid | None) -> Trajectory:
    config = checkpoint.config
    grid = small or (4 * config.patch, 4 * config.patch)
    label = None if config.num_classes is None else config.num_classes // 2
    return Trajectory(
        diffusion=checkpoint.diffusion, latent=(1, config.in_channels, *grid), label=label
    )


def _time_port(config: DiTConfig | UViTConfig, times: TimeInput, rows: Dim) -> Port:
    """The input of a transformer that tells the time, for ``rows`` rows of the batch."""
    match times:
        case TimeInput.TIMESTEP:
            return Port(name="timestep", dtype="float32", shape=(rows,))
        case TimeInput.FEATURES:
            width = config.time_features
            return Port(name="time_features", dtype="float32", shape=(rows, width))
        case _:
            assert_never(times)


def _resized(
    checkpoint: TransformerCheckpoint, config: UViTConfig, options: ExportOptions, downsample: int
) -> TransformerCheckpoint:
    """The checkpoint with positions for the grid that the options ask for."""
    wanted = None if options.size is None else latent_grid(options.size, downsample)
    if options.interpolate_positions is not None:
        grid = latent_grid(options.interpolate_positions, downsample)
    elif wanted is not None and wanted in checkpoint.other_grids:
        grid = wanted
    else:
        grid = config.grid
    if wanted not in (None, grid):
        height, width = (downsample * side for side in grid)
        raise UsageError(
            f"{checkpoint.name} has positions for {width}x{height} pixels; "
            "--interpolate-positions stretches them to the size of --size"
        )
    state, resized = resize_positions(checkpoint.state, config, grid=grid)
    return dataclasses.replace(checkpoint, config=resized, state=state)


def _batch(checkpoint: TransformerCheckpoint, images: int) -> int:
    """Guidance evaluates the labels and the null label in one call."""
    return images if checkpoint.config.num_classes is None else 2 * images


def _ranges(
    grid: Grid | None, batch: int | None, pixels_per_position: int
) -> dict[AxisName, AxisRange]:
    ranges: dict[AxisName, AxisRange] = {}
    if batch is None:
        ranges["batch"] = AxisRange(min=1, max=2 * MAX_BATCH)
    if grid is None:
        side = AxisRange(min=1, max=MAX_SIDE_PIXELS // pixels_per_position)
        ranges |= {"height": side, "width": side}
    return ranges


def _signature(
    config: DiTConfig | UViTConfig, grid: Grid | None, batch: int | None, times: TimeInput
) -> Signature:
    rows: Dim = "batch" if batch is None else batch
    if grid is None:
        factor = "" if config.patch == 1 else f"{config.patch}*"
        sides: tuple[Dim, Dim] = (f"{factor}height", f"{factor}width")
    else:
        sides = grid
    inputs = [
        Port(name="latent", dtype="float32", shape=(rows, config.in_channels, *sides)),
        _time_port(config, times, rows),
    ]
    if config.num_classes is not None:
        inputs.append(Port(name="label", dtype="int64", shape=(rows,)))
    output = Port(name="output", dtype="float32", shape=(rows, config.out_channels, *sides))
    return Signature(inputs=tuple(inputs), output=output)


def _cases(
    config: DiTConfig | UViTConfig,
    diffusion: Diffusion,
    grid: Grid | None,
    batch: int | None,
    times: TimeInput,
) -> dict[str, dict[str, Tensor]]:
    """Noise as wide as the states of a sampler, over all times and with the null label.

    torch.export takes an axis of size 1 for a constant, so the case that is traced is a batch.
    """
    p = config.patch
    shapes = (
        {"noise": (batch or 2, *grid)}
        if grid is not None
        else {
            "noise": (2, 3 * p, 2 * p),
            "noise, smallest": (1, p, p),
            "noise, wide": (1, 2 * p, 5 * p),
        }
    )
    if grid is not None and batch is None:
        shapes["noise, single"] = (1, *grid)
    rng = np.random.default_rng(2)
    return {name: _case(config, diffusion, shape, times, rng) for name, shape in shapes.items()}


def _case(
    config: DiTConfig | UViTConfig,
    diffusion: Diffusion,
    shape: tuple[int, int, int],
    times: TimeInput,
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    batch, height, width = shape
    latent = rng.standard_normal((batch, config.in_channels, height, width), dtype=np.float32)
    first, last = diffusion.timesteps
    timestep = torch.as_tensor(rng.uniform(first, last, batch).astype(np.float32))
    inputs = {"latent": torch.as_tensor(latent)}
    match times:
        case TimeInput.TIMESTEP:
            inputs["timestep"] = timestep
        case TimeInput.FEATURES:
            inputs["time_features"] = TimestepFeatures(config.time_features)(timestep)
        case _:
            assert_never(times)
    if config.num_classes is not None:
        labels = rng.integers(0, config.num_classes, batch)
        labels[-1] = config.num_classes
        inputs["label"] = torch.as_tensor(labels)
    return inputs
