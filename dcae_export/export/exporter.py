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
from dcae_export.errors import ParityError, UsageError
from dcae_export.export.activation_memory import activation_bytes
from dcae_export.export.gate import Case, judge, reference_case
from dcae_export.export.image_io import PictureDecoder, PictureEncoder
from dcae_export.export.options import ExportOptions
from dcae_export.export.passes.fold_batch_norm import fold_batch_norm
from dcae_export.export.passes.fold_downsampling import fold_downsampling
from dcae_export.export.passes.fold_latent_shortcut import fold_latent_shortcut
from dcae_export.export.passes.fold_upsampling import fold_upsampling
from dcae_export.export.passes.keep_attention_epsilon import keep_attention_epsilon
from dcae_export.export.passes.rms_norm_operator import use_rms_norm_operator
from dcae_export.export.simplify import USED, Simplified, simplify
from dcae_export.export.structure import check_structure
from dcae_export.export.target import TARGETS, RMSNormForm, Target
from dcae_export.export.trace import Signature, trace
from dcae_export.models.autoencoder import IMAGE_CHANNELS, AutoencoderConfig
from dcae_export.models.weights import Checkpoint, load_autoencoder
from dcae_export.parity import FP32, UINT8, Tolerance
from dcae_export.runtime.memory import require_memory

MAX_SIDE_PIXELS = 16384
MAX_BATCH = 64
EXTERNAL_FROM_BYTES = 16 * 2**20
SINGLE_FILE_BYTES = 1_900_000_000
WEB_SHARD_BYTES = 2**30
# A weight smaller than this stays in the .onnx: shapes and scalars must, and small norms cost nothing there.
INLINE_BYTES = 1024
DATA_ALIGNMENT = 65536

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """One graph to export: its module, its interface, and the inputs that the gate will try."""

    name: GraphName
    module: nn.Module
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
        UsageError: A size that the network cannot have.
        ParityError: A saved graph does not compute what PyTorch computes.
        ExportError: A graph could not be made.
        BundleError: The target exists, or is no bundle.
        BusyError: Another process writes the target.
        ResourceError: Not enough memory or disk.
    """
    config = checkpoint.config
    grid = options.grid(config.downsample)
    weight_bytes = sum(tensor.nbytes for tensor in checkpoint.state.values())
    model_id = _model_id(checkpoint, options)
    with BundleWriter(target, force=force, wait=wait) as writer, torch.no_grad():
        writer.require_space(int(1.05 * weight_bytes) + 2**26)
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


def fold(module: nn.Module, target: Target) -> None:
    """Apply every exact change of the module, in place, in the form that ``target`` wants."""
    fold_batch_norm(module)
    fold_upsampling(module)
    fold_downsampling(module)
    fold_latent_shortcut(module)
    keep_attention_epsilon(module)
    if target.rms_norm is RMSNormForm.OPERATOR:
        use_rms_norm_operator(module)


def _jobs(
    checkpoint: Checkpoint,
    options: ExportOptions,
    grid: tuple[int, int, int] | None,
    progress: Progress,
) -> Sequence[_Job]:
    progress("building the network")
    config = checkpoint.config
    autoencoder = load_autoencoder(checkpoint)
    encoder: nn.Module = autoencoder.encoder
    decoder: nn.Module = autoencoder.decoder
    pictures = _pictures(config, grid, options)
    progress("running PyTorch on the gate's inputs")
    if options.image_io:
        encoder, decoder = PictureEncoder(encoder), PictureDecoder(decoder)
    latents = _latents(config, encoder(pictures["picture"]), grid)
    image, latent = _ports(config, options, grid)
    return (
        _Job(
            name="encoder",
            module=encoder,
            signature=Signature(input=image, output=latent),
            inputs=pictures,
            example=_example(pictures, grid),
        ),
        _Job(
            name="decoder",
            module=decoder,
            signature=Signature(input=latent, output=image),
            inputs=latents,
            example=_example(latents, grid),
        ),
    )


def _ports(
    config: AutoencoderConfig, options: ExportOptions, grid: tuple[int, int, int] | None
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


def _grids(grid: tuple[int, int, int] | None) -> dict[str, tuple[int, int, int]]:
    """The (batch, height, width) that the gate tries.

    Dynamic graphs: a grid whose sides differ, because a 1x1 grid cannot tell rows from columns; a batch; and
    the smallest grid that the manifest promises.
    """
    if grid is None:
        return {"picture": (1, 2, 3), "noise": (2, 3, 2), "noise, smallest": (1, 1, 1)}
    return {"picture": grid}


def _pictures(
    config: AutoencoderConfig, grid: tuple[int, int, int] | None, options: ExportOptions
) -> dict[str, Tensor]:
    rng = np.random.default_rng(0)
    pictures: dict[str, Tensor] = {}
    for name, (batch, rows, columns) in _grids(grid).items():
        height, width = rows * config.downsample, columns * config.downsample
        if name == "picture":
            levels = np.stack([_drawn(height, width, phase) for phase in range(batch)])
        else:
            levels = rng.integers(0, 256, (batch, height, width, IMAGE_CHANNELS), dtype=np.uint8)
        tensor = torch.as_tensor(levels)
        pictures[name] = (
            tensor
            if options.image_io
            else (tensor.permute(0, 3, 1, 2).float() / 127.5 - 1.0).contiguous()
        )
    return pictures


def _drawn(height: int, width: int, phase: int) -> np.ndarray:
    """A picture with smooth shades and hard edges: (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = y / height, x / width
    disc = np.hypot(y - 0.4, x - 0.6) < 0.25
    red = 0.5 + 0.5 * np.sin(6 * x + 4 * y + phase)
    green = np.where(disc, 0.9, y)
    blue = np.where((8 * x).astype(int) % 2 == (8 * y).astype(int) % 2, 0.8, 0.2)
    return (255 * np.stack([red, green, blue], axis=-1)).astype(np.uint8)


def _latents(
    config: AutoencoderConfig, encoded: Tensor, grid: tuple[int, int, int] | None
) -> dict[str, Tensor]:
    rng = np.random.default_rng(1)
    scale = np.float32(1.0 / (config.scaling_factor or 1.0))
    latents = {"picture": encoded}
    for name, (batch, rows, columns) in _grids(grid).items():
        if name != "picture":
            shape = (batch, config.latent_channels, rows, columns)
            latents[name] = torch.as_tensor(rng.standard_normal(shape, dtype=np.float32) * scale)
    return latents


def _example(inputs: dict[str, Tensor], grid: tuple[int, int, int] | None) -> Tensor:
    # torch.export takes an axis of size 1 for a constant: trace dynamic graphs on a batch.
    return inputs["picture"] if grid is not None else inputs["noise"]


def _export_graph(
    job: _Job, staging: Path, options: ExportOptions, model_id: str, progress: Progress
) -> _Exported:
    target = TARGETS[options.target]
    cases = [reference_case(job.module, name, value) for name, value in job.inputs.items()]
    fold(job.module, target)
    progress(f"{job.name}: tracing")
    model = trace(job.module, job.example, job.signature, target=target)
    progress(f"{job.name}: simplifying")
    simplified = simplify(model, simplifier=options.simplifier)
    tolerance = UINT8 if job.signature.output.dtype == "uint8" else FP32
    progress(f"{job.name}: writing and comparing with PyTorch")
    try:
        graph, parity = _publish(
            job, simplified.model, staging, options, model_id, cases, tolerance
        )
    except ParityError:
        if simplified.outcome != USED:
            raise
        simplified = Simplified(
            model=model,
            outcome=f"{options.simplifier} lost parity",
            nodes_before=simplified.nodes_before,
            nodes_after=simplified.nodes_before,
        )
        graph, parity = _publish(job, model, staging, options, model_id, cases, tolerance)
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


def _publish(  # noqa: PLR0913, PLR0917 - the one place where all of an export meets
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
    model.metadata_props["dcae.model_id"] = model_id
    model.metadata_props["dcae.format_version"] = str(FORMAT_VERSION)
    path = staging / f"{job.name}.onnx"
    data = _save(model, path, options)
    graph = Graph(
        path=path.name,
        data=tuple(file.name for file in data),
        target=options.target,
        precision="fp32",
        opset=TARGETS[options.target].opset,
        activation_bytes=activation_bytes(model),
        inputs=(job.signature.input,),
        outputs=(job.signature.output,),
        ranges=_ranges(job.signature, options),
    )
    files = GraphFiles(model=path.read_bytes(), path=path, data=data, graph=graph)
    return graph, judge(files, cases, graph=job.name, tolerance=tolerance)


def _save(model: ir.Model, path: Path, options: ExportOptions) -> tuple[Path, ...]:
    """Save the graph; returns the files of its external weights."""
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    total = sum(
        value.const_value.nbytes
        for value in model.graph.initializers.values()
        if value.const_value is not None
    )
    if options.single_file and total > SINGLE_FILE_BYTES:
        raise UsageError(
            f"{path.name}: {total / 1e9:.1f} GB of weights do not fit in one file; leave out --single-file"
        )
    if options.single_file or total < EXTERNAL_FROM_BYTES:
        ir.save(model, path)  # pyright: ignore[reportUnknownMemberType] - half typed
        return ()
    ir.save(  # pyright: ignore[reportUnknownMemberType] - half typed
        model,
        path,
        external_data=f"{path.name}.data",
        size_threshold_bytes=INLINE_BYTES,
        max_shard_size_bytes=WEB_SHARD_BYTES if options.target == "web" else None,
        alignment=DATA_ALIGNMENT,
    )
    return tuple(sorted(file for file in path.parent.glob(f"{path.name}*") if file != path))


def _ranges(signature: Signature, options: ExportOptions) -> dict[AxisName, AxisRange]:
    if options.size is not None:
        return {}
    image = next(port for port in (signature.input, signature.output) if port.name == "image")
    factor = int(str(next(dim for dim in image.shape if "*" in str(dim))).partition("*")[0])
    side = AxisRange(min=1, max=MAX_SIDE_PIXELS // factor)
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
