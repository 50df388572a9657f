"""Export a checkpoint to a verified bundle."""

import dataclasses
import enum
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

import dcae_export
from dcae_export.bundle.manifest import (
    FORMAT_VERSION,
    FORMAT_VERSION_KEY,
    MODEL_ID_KEY,
    AxisName,
    AxisRange,
    Golden,
    Graph,
    GraphName,
    ImageFormat,
    Latent,
    Manifest,
    Model,
    ParityRecord,
    Port,
    Producer,
    Simplification,
)
from dcae_export.bundle.reader import GraphFiles
from dcae_export.bundle.writer import BundleWriter
from dcae_export.errors import ParityError
from dcae_export.export.activation_memory import activation_bytes
from dcae_export.export.gate import Case, judge, reference_case
from dcae_export.export.gate_inputs import Grid, latents, pictures
from dcae_export.export.image_io import PictureDecoder, PictureEncoder
from dcae_export.export.options import ExportOptions
from dcae_export.export.rewrite import rewrite_module
from dcae_export.export.save import save_graph
from dcae_export.export.simplify import Simplified, simplify
from dcae_export.export.structure import check_structure
from dcae_export.export.target import TARGETS
from dcae_export.export.trace import Signature, trace
from dcae_export.models.autoencoder import IMAGE_CHANNELS, AutoencoderConfig
from dcae_export.models.weights import Checkpoint, load_autoencoder
from dcae_export.parity import Tolerance, tolerance_of
from dcae_export.runtime.memory import require_memory

# What a manifest promises for dynamic graphs: beyond it, sizes in float32 pass what the memory of any machine
# that was tried can hold.
MAX_SIDE_PIXELS = 16384
MAX_BATCH = 64
# Folding makes the weights larger, most of all those of f128: a convolution before a pixel-unshuffle becomes
# four, one for each phase.
FOLDED_GROWTH = 1.08

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """One graph to export: its module, its interface, and the inputs that the gate will try."""

    name: GraphName
    module: nn.Module
    downsample: int
    signature: Signature
    inputs: dict[str, Tensor]
    example: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class _Exported:
    graph: Graph
    parity: list[ParityRecord]
    simplification: Simplification
    golden: Golden


def export(
    checkpoint: Checkpoint,
    target: Path,
    options: ExportOptions,
    *,
    force: bool = False,
    wait: bool = False,
    progress: Progress = lambda _: None,
) -> Path:
    """Export encoder and decoder, prove both files against PyTorch, and publish them as a bundle.

    Args:
        checkpoint: The weights.
        target: The bundle's folder.
        options: What the graphs are for.
        force: Replace an existing bundle, once the new one has passed.
        wait: Queue behind another writer of the same target.
        progress: Called with the name of each stage as it begins.

    Returns:
        The target.

    Raises:
        UsageError: A size that the network cannot have, or weights that no single file holds.
        ParityError: A saved graph does not compute what PyTorch computes.
        ExportError: A graph could not be made.
        BundleError: The target exists, or is no bundle.
        RefusedError: The target is a link.
        BusyError: Another process writes the target.
        ResourceError: Not enough memory or disk.
    """
    config = checkpoint.config
    grid = options.grid(config.downsample)
    weight_bytes = sum(tensor.nbytes for tensor in checkpoint.state.values())
    model_id = _model_id(checkpoint, options)
    with BundleWriter(target, force=force, wait=wait) as writer, torch.no_grad():
        writer.require_space(int(FOLDED_GROWTH * weight_bytes) + 2**26)
        require_memory(2 * weight_bytes, what=f"exporting {checkpoint.preset}")
        exported: dict[GraphName, _Exported] = {
            job.name: _export_graph(job, writer.staging, options, model_id, progress)
            for job in _jobs(checkpoint, options, grid, progress)
        }
        progress("hashing and publishing")
        writer.commit(
            Manifest(
                format_version=FORMAT_VERSION,
                producer=_producer(),
                model=Model(
                    preset=checkpoint.preset,
                    id=model_id,
                    weights=checkpoint.source,
                    weights_sha256=checkpoint.sha256,
                    licence=checkpoint.licence,
                ),
                image=_image_format(options),
                latent=Latent(
                    channels=config.latent_channels,
                    downsample=config.downsample,
                    scaling_factor=config.scaling_factor,
                    shift=0.0,
                ),
                graphs={name: part.graph for name, part in exported.items()},
                golden=tuple(part.golden for part in exported.values()),
                simplification=tuple(part.simplification for part in exported.values()),
                parity=tuple(record for part in exported.values() for record in part.parity),
                files=writer.file_records(),
            )
        )
    return target


def _jobs(
    checkpoint: Checkpoint,
    options: ExportOptions,
    grid: Grid | None,
    progress: Progress,
) -> Sequence[_Job]:
    progress("building the network")
    config = checkpoint.config
    autoencoder = load_autoencoder(checkpoint)
    encoder: nn.Module = autoencoder.encoder
    decoder: nn.Module = autoencoder.decoder
    images = pictures(config, grid, image_io=options.image_io)
    progress("running PyTorch on the gate's inputs")
    if options.image_io:
        encoder, decoder = PictureEncoder(encoder), PictureDecoder(decoder)
    encoded = latents(config, encoder(images["picture"]), grid)
    image, latent = _ports(config, options, grid)
    return (
        _Job(
            name="encoder",
            module=encoder,
            downsample=config.downsample,
            signature=Signature(input=image, output=latent),
            inputs=images,
            example=_example(images, grid),
        ),
        _Job(
            name="decoder",
            module=decoder,
            downsample=config.downsample,
            signature=Signature(input=latent, output=image),
            inputs=encoded,
            example=_example(encoded, grid),
        ),
    )


def _ports(
    config: AutoencoderConfig, options: ExportOptions, grid: Grid | None
) -> tuple[Port, Port]:
    f = config.downsample
    if grid is None:
        batch, height, width = "batch", "height", "width"
        image_height, image_width = f"{f}*height", f"{f}*width"
    else:
        batch, height, width = grid
        image_height, image_width = f * height, f * width
    colours = IMAGE_CHANNELS
    image = (
        Port(name="image", dtype="uint8", shape=(batch, image_height, image_width, colours))
        if options.image_io
        else Port(name="image", dtype="float32", shape=(batch, colours, image_height, image_width))
    )
    latent = Port(
        name="latent", dtype="float32", shape=(batch, config.latent_channels, height, width)
    )
    return image, latent


def _example(inputs: dict[str, Tensor], grid: Grid | None) -> Tensor:
    # torch.export takes an axis of size 1 for a constant: trace dynamic graphs on a batch.
    return inputs["picture"] if grid is not None else inputs["noise"]


def _export_graph(
    job: _Job, staging: Path, options: ExportOptions, model_id: str, progress: Progress
) -> _Exported:
    target = TARGETS[options.target]
    cases = [reference_case(job.module, name, value) for name, value in job.inputs.items()]
    rewrite_module(job.module, target)
    progress(f"{job.name}: tracing")
    model = trace(job.module, job.example, job.signature, target=target)
    progress(f"{job.name}: simplifying")
    simplified = simplify(model, simplifier=options.simplifier)
    tolerance = tolerance_of(job.signature.output.dtype)
    progress(f"{job.name}: writing and comparing with PyTorch")
    try:
        graph, parity = _save_and_judge(
            job, simplified.model, staging, options, model_id, cases, tolerance
        )
    except ParityError:
        if not simplified.used:
            raise
        simplified = Simplified(
            model=model,
            used=False,
            outcome=f"{options.simplifier} lost parity",
            nodes_before=simplified.nodes_before,
            nodes_after=simplified.nodes_before,
        )
        graph, parity = _save_and_judge(job, model, staging, options, model_id, cases, tolerance)
    return _Exported(
        graph=graph,
        parity=parity,
        simplification=Simplification(
            graph=job.name,
            simplifier=options.simplifier,
            outcome=simplified.outcome,
            nodes_before=simplified.nodes_before,
            nodes_after=simplified.nodes_after,
        ),
        golden=_write_golden(job, cases[0], staging),
    )


def _save_and_judge(  # noqa: PLR0913, PLR0917 - the one place where all of an export meets
    job: _Job,
    model: ir.Model,
    staging: Path,
    options: ExportOptions,
    model_id: str,
    cases: Sequence[Case],
    tolerance: Tolerance,
) -> tuple[Graph, list[ParityRecord]]:
    """Save one graph and hold the saved file to the reference."""
    check_structure(model, name=job.name)
    model.metadata_props.clear()  # A simplifier's notes on itself.
    model.metadata_props[MODEL_ID_KEY] = model_id
    model.metadata_props[FORMAT_VERSION_KEY] = str(FORMAT_VERSION)
    path = staging / f"{job.name}.onnx"
    data = save_graph(model, path, options)
    graph = Graph(
        path=path.name,
        data=tuple(file.name for file in data),
        target=options.target,
        precision="fp32",
        opset=TARGETS[options.target].opset,
        activation_bytes=activation_bytes(model),
        inputs=(job.signature.input,),
        outputs=(job.signature.output,),
        ranges=_ranges(options, job.downsample),
    )
    files = GraphFiles(model=path.read_bytes(), path=path, data=data, graph=graph)
    return graph, judge(files, cases, graph=job.name, tolerance=tolerance)


def _ranges(options: ExportOptions, downsample: int) -> dict[AxisName, AxisRange]:
    if options.size is not None:
        return {}
    side = AxisRange(min=1, max=MAX_SIDE_PIXELS // downsample)
    return {"batch": AxisRange(min=1, max=MAX_BATCH), "height": side, "width": side}


def _write_golden(job: _Job, case: Case, staging: Path) -> Golden:
    folder = staging / "golden"
    folder.mkdir(exist_ok=True)
    names = {
        port.name: f"golden/{job.name}-{port.name}.npy"
        for port in (job.signature.input, job.signature.output)
    }
    np.save(staging / names[job.signature.input.name], np.ascontiguousarray(case.input))
    np.save(staging / names[job.signature.output.name], np.ascontiguousarray(case.expected))
    return Golden(
        graph=job.name,
        inputs={job.signature.input.name: names[job.signature.input.name]},
        outputs={job.signature.output.name: names[job.signature.output.name]},
    )


def _image_format(options: ExportOptions) -> ImageFormat:
    if options.image_io:
        return ImageFormat(channels=IMAGE_CHANNELS, dtype="uint8", layout="NHWC", range=(0, 255))
    return ImageFormat(channels=IMAGE_CHANNELS, dtype="float32", layout="NCHW", range=(-1, 1))


def _producer() -> Producer:
    return Producer(
        package=dcae_export.__version__,
        torch=torch.__version__,
        onnx=importlib.metadata.version("onnx"),
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _model_id(checkpoint: Checkpoint, options: ExportOptions) -> str:
    """What decides the graphs' bytes, as one hash."""
    content = {
        "weights": checkpoint.sha256,
        "config": dataclasses.asdict(checkpoint.config),
        "options": dataclasses.asdict(options),
        "package": dcae_export.__version__,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_enum_value)
    return hashlib.sha256(text.encode()).hexdigest()


def _enum_value(value: object) -> object:
    assert isinstance(value, enum.Enum)
    return value.value
