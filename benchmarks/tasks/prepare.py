"""Make the files that contestants run."""

import logging
import shutil
from pathlib import Path

import torch

from benchmarks.tasks.diffusers_network import load_half
from dcae_export.export.exporter import export
from dcae_export.export.options import ExportOptions
from dcae_export.models.key_map import Layout
from dcae_export.models.weights import load_checkpoint, random_checkpoint, save_checkpoint

# A batch, and more than 32 latent positions: below that diffusers takes another path through its attention.
EXAMPLE_GRID = (2, 8, 9)


def draw_weights(variant: str, folder: str) -> dict[str, object]:
    """Random weights in diffusers' layout: what every contestant is made of."""
    save_checkpoint(random_checkpoint(variant, seed=0), Path(folder), layout=Layout.DIFFUSERS)
    return {}


def export_bundle(weights: str, folder: str, size: int | None) -> dict[str, object]:
    """Our export of the weights in a folder."""
    options = ExportOptions(size=None if size is None else (size, size))
    export(load_checkpoint(Path(weights)), Path(folder), options)
    return {}


def export_plain(weights: str, folder: str, graph: str, size: int | None) -> dict[str, object]:
    """torch.onnx.export of one half of diffusers' autoencoder, and nothing more."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    config = load_checkpoint(Path(weights)).config
    factor = config.downsample if graph == "encoder" else 1
    channels = 3 if graph == "encoder" else config.latent_channels
    if size is None:
        batch, height, width = EXAMPLE_GRID
    else:
        batch, height, width = 1, size // config.downsample, size // config.downsample
    program = torch.onnx.export(
        load_half(Path(weights), graph),
        (torch.zeros(batch, channels, factor * height, factor * width),),
        dynamo=True,
        dynamic_shapes=None if size is not None else (_axes(factor),),
        verbose=False,
    )
    assert program is not None
    partial = Path(f"{folder}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    program.save(partial / f"{graph}.onnx", external_data=True)
    partial.rename(folder)
    return {}


def _axes(factor: int) -> dict[int, object]:
    height, width = torch.export.Dim("height"), torch.export.Dim("width")
    if factor == 1:
        return {0: torch.export.Dim("batch"), 2: height, 3: width}
    return {0: torch.export.Dim("batch"), 2: factor * height, 3: factor * width}
