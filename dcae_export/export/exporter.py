"""Export a checkpoint to a verified bundle."""

import dataclasses
import enum
import hashlib
import importlib.metadata
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

import dcae_export
from dcae_export.bundle.manifest import (
    FORMAT_VERSION,
    MAX_TABLES,
    Conditioning,
    Diffusion,
    GraphName,
    ImageFormat,
    Latent,
    Manifest,
    Model,
    Producer,
    Samplers,
    SamplerTable,
    TransformerModel,
)
from dcae_export.bundle.writer import BundleWriter
from dcae_export.errors import UsageError, WeightsError
from dcae_export.export.autoencoder_jobs import autoencoder_jobs
from dcae_export.export.graph_export import ExportedGraph, Progress, export_graph
from dcae_export.export.options import ExportOptions
from dcae_export.export.target import TARGETS, TimeInput
from dcae_export.export.transformer_job import transformer_job
from dcae_export.models.autoencoder import IMAGE_CHANNELS
from dcae_export.models.imagenet_classes import imagenet_classes
from dcae_export.models.state import encoder_digest
from dcae_export.models.timestep import TimestepFeatures
from dcae_export.models.transformer_presets import TRANSFORMERS
from dcae_export.models.transformer_weights import TransformerCheckpoint
from dcae_export.models.weights import AutoencoderCheckpoint
from dcae_export.runtime.memory import require_memory
from dcae_export.sampling.solvers import make_table

# Folding makes the weights larger, most of all those of f64-demo and f128: a convolution before a pixel-unshuffle
# becomes four, one for each phase.
FOLDED_GROWTH = 1.1
# Memory beside the checkpoints, in sizes of the largest network: its folded copy, its graph, and ONNX Runtime's, which
# computes float16 in float32. Peaks at full size were 1.9 to 2.5 and, in fp16, 2.5 to 4.4, mapped files included.
_COPIES = {"fp32": 2.5, "fp16": 4.5}


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerExport:
    """A transformer to export beside its autoencoder.

    ``samplers`` are names as in ``dpmpp-2m:20``, the default first; none is the checkpoint's own default.
    ``class_names`` are those of its labels; None is what the checkpoint knows, and ImageNet's for a published
    transformer.
    """

    checkpoint: TransformerCheckpoint
    samplers: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None


def export(  # noqa: PLR0913 - one argument for each option
    checkpoint: AutoencoderCheckpoint,
    target: Path,
    options: ExportOptions,
    *,
    transformer: TransformerExport | None = None,
    force: bool = False,
    wait: bool = False,
    progress: Progress = lambda _: None,
) -> Path:
    """Export encoder, decoder and transformer, prove the files against PyTorch, and publish them as a bundle.

    Args:
        checkpoint: The autoencoder's weights.
        target: The bundle's folder.
        options: What the graphs are for.
        transformer: A diffusion transformer for its latents, and how it is sampled.
        force: Replace an existing bundle, once the new one has passed.
        wait: Queue behind another writer of the same target.
        progress: Called with the name of each stage as it begins.

    Returns:
        The target.

    Raises:
        UsageError: A size that the network cannot have, a transformer for other latents, a sampler that does not
            go with it, or weights that no single file holds.
        WeightsError: A transformer that was trained on the latents of another autoencoder.
        ParityError: A saved graph does not compute what PyTorch computes.
        ExportError: A graph could not be made.
        BundleError: The target exists, or is no bundle.
        RefusedError: The target is a link.
        BusyError: Another process writes the target.
        ResourceError: Not enough memory or disk.
    """
    options.grid(checkpoint.config.downsample)
    if transformer is not None:
        _require_own_autoencoder(transformer.checkpoint, checkpoint)
    states = [checkpoint.state, *([] if transformer is None else [transformer.checkpoint.state])]
    # First, for what it refuses; its module takes no memory beside the checkpoint's.
    transformer_jobs = (
        []
        if transformer is None
        else [transformer_job(transformer.checkpoint, options, checkpoint.config)]
    )
    weight_bytes = sum(tensor.nbytes for state in states for tensor in state.values())
    model_id = _model_id(checkpoint, transformer, options)
    with BundleWriter(target, force=force, wait=wait) as writer, torch.no_grad():
        generation = _generation(checkpoint, transformer, options, writer.staging)
        writer.require_space(int(FOLDED_GROWTH * weight_bytes) + 2**26)
        copies = int(_COPIES[options.precision] * _largest_network(states))
        require_memory(copies, what=f"exporting {checkpoint.preset}")
        progress("running PyTorch on the gate's inputs")
        exported: dict[GraphName, ExportedGraph] = {
            job.name: export_graph(
                job, writer.staging, options, model_id=model_id, progress=progress
            )
            for job in chain(autoencoder_jobs(checkpoint, options), transformer_jobs)
        }
        progress("hashing and publishing")
        writer.commit(
            Manifest(
                format_version=FORMAT_VERSION,
                producer=_producer(),
                model=_model(checkpoint, transformer, model_id),
                image=_image_format(options),
                latent=Latent(
                    channels=checkpoint.config.latent_channels,
                    downsample=checkpoint.config.downsample,
                    scaling_factor=checkpoint.config.scaling_factor,
                    shift=0.0,
                ),
                graphs={name: part.graph for name, part in exported.items()},
                golden=tuple(part.golden for part in exported.values()),
                simplification=tuple(part.simplification for part in exported.values()),
                parity=tuple(record for part in exported.values() for record in part.parity),
                files=writer.file_records(),
                diffusion=generation.diffusion,
                conditioning=generation.conditioning,
                samplers=generation.samplers,
                noise=generation.noise,
            )
        )
    return target


def _largest_network(states: Iterable[Mapping[str, Tensor]]) -> int:
    """The bytes of the largest of encoder, decoder and transformer."""
    networks = Counter[tuple[int, str]]()
    for index, state in enumerate(states):
        for name, tensor in state.items():
            half = name.partition(".")[0]
            networks[index, half if half in ("encoder", "decoder") else ""] += tensor.nbytes
    return max(networks.values())


def _require_own_autoencoder(
    transformer: TransformerCheckpoint, autoencoder: AutoencoderCheckpoint
) -> None:
    """Latents of another encoder mean something else: what is generated would be no picture."""
    own = transformer.trained_on
    factor = autoencoder.config.scaling_factor
    if own is None:
        return
    digest = encoder_digest(autoencoder.state)
    if (own.encoder_sha256, own.scaling_factor) == (digest, factor):
        return
    raise WeightsError(
        f"{transformer.name}: was trained on latents of {own.source} (encoder {own.encoder_sha256[:16]}, scaling factor "
        f"{own.scaling_factor}), not of {autoencoder.source} ({digest[:16]}, {factor}); give it its own "
        "autoencoder by --weights, or train it on latents of this one"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Generation:
    """The manifest's parts that go with a transformer, all None without."""

    diffusion: Diffusion | None = None
    conditioning: Conditioning | None = None
    samplers: Samplers | None = None
    noise: Literal["philox4x32-10-v1"] | None = None


def _generation(
    checkpoint: AutoencoderCheckpoint,
    transformer: TransformerExport | None,
    options: ExportOptions,
    staging: Path,
) -> _Generation:
    """What the manifest says of sampling; features of the times go to files where the target takes them."""
    if transformer is None:
        return _Generation()
    if checkpoint.config.scaling_factor is None:
        raise UsageError(
            f"{checkpoint.preset} has no scaling factor, so no transformer fits its latents"
        )
    network = transformer.checkpoint
    names = tuple(dict.fromkeys(transformer.samplers or (network.default_sampler,)))
    if len(names) > MAX_TABLES:
        raise UsageError(f"{len(names)} samplers, a bundle has at most {MAX_TABLES}")
    classes = network.config.num_classes
    listed = transformer.class_names or network.class_names
    if listed is None and network.preset in TRANSFORMERS:
        listed = imagenet_classes()
    if listed is not None and len(listed) != classes:
        raise UsageError(f"{len(listed)} class names for {classes} classes")
    return _Generation(
        diffusion=Diffusion.of(network.diffusion, grid=network.config.grid),
        conditioning=Conditioning(
            kind="none" if classes is None else "class",
            num_classes=classes,
            null_label=classes,
            class_names=listed,
        ),
        samplers=Samplers(
            tables={name: _sampler(name, network, options, staging) for name in names},
            default=names[0],
            default_guidance=network.default_guidance,
        ),
        noise="philox4x32-10-v1",
    )


def _sampler(
    name: str, network: TransformerCheckpoint, options: ExportOptions, staging: Path
) -> SamplerTable:
    table = make_table(name, network.diffusion)
    if TARGETS[options.target].time_input is TimeInput.TIMESTEP:
        return SamplerTable.of(table)
    features = TimestepFeatures(network.config.time_features)
    path = f"samplers/{name.replace(':', '-')}.npy"
    (staging / "samplers").mkdir(exist_ok=True)
    np.save(staging / path, features(torch.tensor([row.t for row in table.rows])).numpy())
    return SamplerTable.of(table, time_features=path)


def _model(
    checkpoint: AutoencoderCheckpoint, transformer: TransformerExport | None, model_id: str
) -> Model:
    network = None if transformer is None else transformer.checkpoint
    return Model(
        preset=checkpoint.preset,
        id=model_id,
        weights=checkpoint.source,
        weights_sha256=checkpoint.sha256,
        licence=checkpoint.licence,
        transformer=None
        if network is None
        else TransformerModel(
            preset=network.preset,
            weights=network.source,
            weights_sha256=network.sha256,
            licence=network.licence,
        ),
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


def _model_id(
    checkpoint: AutoencoderCheckpoint, transformer: TransformerExport | None, options: ExportOptions
) -> str:
    """What decides the graphs' bytes, as one hash."""
    networks = [checkpoint, *([] if transformer is None else [transformer.checkpoint])]
    content = {
        "weights": [network.sha256 for network in networks],
        "config": [dataclasses.asdict(network.config) for network in networks],
        "options": dataclasses.asdict(options),
        "package": dcae_export.__version__,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_enum_value)
    return hashlib.sha256(text.encode()).hexdigest()


def _enum_value(value: object) -> object:
    assert isinstance(value, enum.Enum)
    return value.value
