"""Tasks of the GPU benchmark, each in a process of its own."""

import dataclasses
import gc
import importlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu_device import CPU, UNREAD, DeviceMemory, describe_device
from benchmarks.tasks.gpu_networks import (
    GRAPH_RECORD,
    Inputs,
    Run,
    open_onnx,
    provider_options,
)
from dcae_export.bundle.reader import Bundle

GUIDED = 2
WARM_UP = 3
# A median needs some runs, and no more than so many seconds of them.
FEWEST_RUNS, MOST_RUNS, MOST_SECONDS = 5, 50, 3.0
# A larger batch has to give so many times the images a second to be worth another try.
WORTH_DOUBLING = 1.03
# Of the result of PyTorch in float32: bfloat16 keeps 8 bits, and random weights carry errors on undamped. What
# computes something else is off by 1.
SAME = 0.2
OUT_OF_MEMORY = ("out of memory", "not enough memory", "failed to allocate", "bad alloc")
LABEL = 3
# The most of a published batch, both halves of guidance counted; a bundle's transformer takes 128.
MOST_ROWS = 2048


class Network(Protocol):
    """A network on its device."""

    def prepare(self, inputs: Inputs) -> Run: ...
    def result(self) -> NDArray[np.float32]: ...


class Generator(Protocol):
    """What makes pictures of labels."""

    def generate(self, labels: list[int], *, size: tuple[int, int]) -> NDArray[np.uint8]: ...


def describe_gpu(provider: str) -> dict[str, object]:
    """What ``gpu_device`` says, from a process that may hold the driver's libraries."""
    return describe_device(provider)


def describe_network(network: dict[str, object]) -> dict[str, object]:
    """Channels, sides and classes of what a network takes, and the operations of one image."""
    torch_networks = importlib.import_module("benchmarks.tasks.gpu_torch")
    config = torch_networks.autoencoder_config(str(network["autoencoder"]))
    shape = {"channels": config.latent_channels, "downsample": config.downsample, "classes": None}
    if network["part"] == "step":
        presets = importlib.import_module("dcae_export.models.transformer_presets")
        preset = presets.transformer_preset(
            network["transformer"], autoencoder=network["autoencoder"]
        )
        shape["classes"] = preset.config.num_classes
    work = torch_networks.count_operations(network, inputs_of({**network, **shape}, images=1))
    return {**shape, "operations": work}


def inputs_of(network: dict[str, object], *, images: int) -> Inputs:
    """Drawn inputs for some images; a step has both halves of guidance."""
    side, downsample = int(str(network["side"])), int(str(network["downsample"]))
    rng = np.random.default_rng(0)
    if network["part"] == "encode":
        shape = (images, 3, side, side)
        return {"image": rng.uniform(-1, 1, shape).astype(np.float32)}
    grid, channels = side // downsample, int(str(network["channels"]))
    rows = images if network["part"] == "decode" else GUIDED * images
    latent = rng.standard_normal((rows, channels, grid, grid), dtype=np.float32)
    if network["part"] == "decode":
        return {"latent": latent}
    classes = int(str(network["classes"]))
    labels = np.arange(rows, dtype=np.int64) % classes
    labels[rows // GUIDED :] = classes
    # Between 0 and 1 for a flow, and well within the steps of the others.
    return {"latent": latent, "timestep": np.full(rows, 0.5, np.float32), "label": labels}


def export_bundle(
    folder: str, autoencoder: str, transformer: str, side: int, precision: str
) -> dict[str, object]:
    """A bundle for target cuda with random weights, that makes pictures of ``side`` pixels."""
    exporter = importlib.import_module("dcae_export.export.exporter")
    source = importlib.import_module("dcae_export.models.source")
    checkpoint = source.resolve("random:0", variant=autoencoder)
    if checkpoint.config.scaling_factor is None:
        # That of the demo's autoencoder comes from its training.
        config = dataclasses.replace(checkpoint.config, scaling_factor=1.0)
        checkpoint = dataclasses.replace(checkpoint, config=config)
    exporter.export(
        checkpoint,
        Path(folder),
        _options(transformer, autoencoder, side, precision),
        transformer=exporter.TransformerExport(
            checkpoint=source.resolve_transformer(
                "random:0", name=transformer, autoencoder=autoencoder
            )
        ),
    )
    return {}


def export_transformer(
    folder: str, autoencoder: str, transformer: str, side: int, precision: str
) -> dict[str, object]:
    """The transformer alone, of a bundle that need not exist, for batches as large as the published ones."""
    graph_export = importlib.import_module("dcae_export.export.graph_export")
    job = importlib.import_module("dcae_export.export.transformer_job")
    source = importlib.import_module("dcae_export.models.source")
    torch_networks = importlib.import_module("benchmarks.tasks.gpu_torch")
    options = _options(transformer, autoencoder, side, precision)
    partial = Path(f"{folder}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    narrow = job.transformer_job(
        source.resolve_transformer("random:0", name=transformer, autoencoder=autoencoder),
        options,
        torch_networks.autoencoder_config(autoencoder),
    )
    rows = narrow.ranges["batch"].model_copy(update={"max": MOST_ROWS})
    exported = graph_export.export_graph(
        dataclasses.replace(narrow, ranges={**narrow.ranges, "batch": rows}),
        partial,
        options,
        model_id="0" * 64,
        progress=lambda _: None,
    )
    (partial / GRAPH_RECORD).write_text(exported.graph.model_dump_json(), encoding="utf-8")
    partial.rename(folder)
    return {}


def measure_products(provider: str, side: int) -> dict[str, object]:
    """Operations a second of square matrix products in PyTorch, by precision: the peak that shares are of."""
    torch = importlib.import_module("torch")
    torch_networks = importlib.import_module("benchmarks.tasks.gpu_torch")
    device = CPU if provider == CPU else "cuda"
    torch.backends.cuda.matmul.allow_tf32 = False
    rates: dict[str, object] = {}
    for precision, dtype in torch_networks.DTYPES.items():
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))

        def run(left: object = left, right: object = right) -> None:
            torch.mm(left, right)
            if device == "cuda":
                torch.cuda.synchronize()

        rates[precision] = 2 * side**3 / statistics.median(_seconds(run))
    return rates


def measure_network(  # noqa: PLR0913 - one argument for each entry of the request
    *,
    contestant: dict[str, object],
    network: dict[str, object],
    provider: str,
    files: str | None,
    batches: list[int],
    reference: str,
    held: dict[str, object],
) -> Iterator[dict[str, object]]:
    """Median seconds of one image, and images a second of growing batches, with the device's memory.

    ``batches`` are tried in their order until one is too large or not worth it. The output for one image is held to
    the array at ``reference``, or becomes it where there is none. What is found is given after each batch, and goes on
    from ``held``, which an earlier call gave last.
    """
    memory = DeviceMemory(provider)
    opened: Network | None = None
    cell = held
    if not cell:
        start = time.perf_counter()
        opened = _open(contestant, network, provider, files)
        cell = _first_image(opened, network, Path(reference), start=start)
        cell = _with_batch(cell, 1, 1 / float(str(cell["latency_seconds"])), memory)
        cell["peak_bytes"] = cell["peak_bytes_of_batches"]
        yield cell
    best = _rates(cell)[1]
    for batch in batches:
        if batch not in _rates(cell):
            opened = _open(contestant, network, provider, files) if opened is None else opened
            rate = _throughput(opened, network, batch)
            if rate is None:
                return
            cell = _with_batch(cell, batch, rate, memory)
            yield cell
        found = _rates(cell)[batch]
        if batch > 1 and found < WORTH_DOUBLING * best:
            return
        best = max(best, found)


def measure_image(
    contestant: dict[str, object],
    network: dict[str, object],
    provider: str,
    files: str,
    images: int,
    runs: int,
) -> dict[str, object]:
    """Median seconds of a call that generates pictures, with the bundle's own sampler, everything open."""
    memory = DeviceMemory(provider)
    bundle = importlib.import_module("dcae_export.bundle.reader").Bundle.open(files)
    pipeline = _pipeline(contestant, network, provider, bundle)
    size = (int(str(network["side"])),) * 2
    first = _timed(lambda: pipeline.generate([LABEL], size=size))
    single = [_timed(lambda: pipeline.generate([LABEL], size=size)) for _ in range(runs)]
    peak = _peak(memory, "peak_bytes")
    several = [LABEL] * images
    pipeline.generate(several, size=size)
    batch = [_timed(lambda: pipeline.generate(several, size=size)) for _ in range(runs)]
    return {
        "sampler": bundle.manifest.samplers.default,
        "first_seconds": first,
        "latency_seconds": statistics.median(single),
        **peak,
        "best_batch": images,
        "best_images_per_second": images / statistics.median(batch),
        **_peak(memory, "peak_bytes_of_batches"),
    }


def measure_loops(provider: str, files: str, side: int, runs: int) -> dict[str, object]:
    """Seconds of an evaluation with the state on the device, and with the state copied to NumPy and back."""
    device_sampling = importlib.import_module("dcae_export.runtime.device_sampling")
    guidance = importlib.import_module("dcae_export.runtime.guidance")
    noise = importlib.import_module("dcae_export.sampling.noise")
    tables = importlib.import_module("dcae_export.sampling.table")
    reader = importlib.import_module("dcae_export.bundle.reader")
    sessions = importlib.import_module("dcae_export.runtime.session")
    bundle = reader.Bundle.open(files)
    manifest = bundle.manifest
    table = manifest.samplers.tables[manifest.samplers.default].to_table()
    network = guidance.GuidedNetwork(
        session=sessions.Session(
            bundle.check_graph("transformer"), provider=provider_options(provider, {})
        ),
        labels=np.array([LABEL]),
        null_label=manifest.conditioning.null_label,
        guidance=manifest.samplers.default_guidance,
        with_variance=table.learned_variance,
    )
    grid = (side // manifest.latent.downsample,) * 2
    shape = (manifest.latent.channels, *grid)
    drawn = [noise.latent_noise(0, stream=i, shape=shape)[None] for i in range(len(table.rows) + 1)]
    found: dict[str, list[float]] = {"device": [], "copied": []}
    walks = {"device": device_sampling.sample_on_device, "copied": tables.sample}
    results = {
        name: walk(table, network=network, noise=drawn.__getitem__) for name, walk in walks.items()
    }
    for _ in range(runs):
        for name, walk in walks.items():
            seconds = _timed(
                lambda walk=walk: walk(table, network=network, noise=drawn.__getitem__)
            )
            found[name].append(seconds / len(table.rows))
    medians = {f"{name}_seconds": statistics.median(seconds) for name, seconds in found.items()}
    difference = float(np.abs(results["device"] - results["copied"]).max())
    return {**medians, "max_abs_difference": difference, "evaluations": len(table.rows)}


def _options(transformer: str, autoencoder: str, side: int, precision: str) -> object:
    options = importlib.import_module("dcae_export.export.options")
    presets = importlib.import_module("dcae_export.models.transformer_presets")
    uvit = importlib.import_module("dcae_export.models.uvit")
    config = presets.transformer_preset(transformer, autoencoder=autoencoder).config
    stretched = (side, side) if isinstance(config, uvit.UViTConfig) else None
    # A simplifier finds nothing in these graphs, and each takes a process.
    return options.ExportOptions(
        target="cuda", precision=precision, interpolate_positions=stretched, simplifier="none"
    )


def _open(
    contestant: dict[str, object], network: dict[str, object], provider: str, files: str | None
) -> Network:
    if contestant["library"] == "onnxruntime":
        assert files is not None
        return open_onnx(
            Path(files), str(network["part"]), str(contestant["provider"]), _flags(contestant)
        )
    torch_networks = importlib.import_module("benchmarks.tasks.gpu_torch")
    return torch_networks.open_torch(
        network,
        device=CPU if provider == CPU else "cuda",
        precision=contestant["precision"],
        library=contestant["library"],
        mode=contestant["mode"],
    )


def _pipeline(
    contestant: dict[str, object], network: dict[str, object], provider: str, bundle: Bundle
) -> Generator:
    if contestant["library"] == "onnxruntime":
        pipelines = importlib.import_module("dcae_export.runtime.pipeline")
        options = provider_options(str(contestant["provider"]), _flags(contestant))
        return pipelines.Pipeline(bundle, provider=options, keep_sessions=True)
    torch_networks = importlib.import_module("benchmarks.tasks.gpu_torch")
    return torch_networks.TorchPipeline(
        bundle,
        network,
        device=CPU if provider == CPU else "cuda",
        precision=contestant["precision"],
        mode=contestant["mode"],
    )


def _flags(contestant: dict[str, object]) -> dict[str, bool]:
    options = contestant["options"]
    assert isinstance(options, list)
    return {str(name): True for name in options}


def _peak(memory: DeviceMemory, name: str) -> dict[str, object]:
    peak = memory.peak_bytes()
    return {name: peak} if peak is not None else {name: None, "memory_not_measured": UNREAD}


def difference_from_reference(found: NDArray[np.float32], reference: Path) -> float:
    """The relative L2 of an output to the array at ``reference``, which it becomes where there is none.

    Raises:
        ValueError: It is not finite; nothing is written.
    """
    if not np.isfinite(found).all():
        raise ValueError("the output is not finite")
    if not reference.exists():
        partial = reference.with_name(f"{reference.name}.partial")
        with partial.open("wb") as file:
            np.save(file, found)
        partial.replace(reference)
    expected = np.load(reference)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _first_image(
    opened: Network, network: dict[str, object], reference: Path, *, start: float
) -> dict[str, object]:
    run = opened.prepare(inputs_of(network, images=1))
    run()
    first = time.perf_counter() - start
    off = difference_from_reference(opened.result(), reference)
    if not off <= SAME:
        raise ValueError(f"differs from PyTorch in float32: relative L2 {off:.1e}")
    latency = _seconds(run)
    return {
        "relative_l2": off,
        "first_seconds": first,
        "latency_seconds": statistics.median(latency),
        "runs": len(latency),
    }


def _rates(cell: dict[str, object]) -> dict[int, float]:
    """Images a second by batch; JSON has names for numbers."""
    rates = cell.get("images_per_second", {})
    assert isinstance(rates, dict)
    return {int(batch): float(rate) for batch, rate in rates.items()}


def _with_batch(
    cell: dict[str, object], batch: int, rate: float, memory: DeviceMemory
) -> dict[str, object]:
    rates = {**_rates(cell), batch: rate}
    best = max(rates, key=lambda one: rates[one])
    peak = _peak(memory, "peak_bytes_of_batches")
    # An earlier call's process may have taken more than this one has.
    before, now = cell.get("peak_bytes_of_batches", 0), peak["peak_bytes_of_batches"]
    if isinstance(before, int) and isinstance(now, int):
        peak = {"peak_bytes_of_batches": max(before, now)}
    elif before is None:
        peak = {}
    return {
        **cell,
        "images_per_second": {str(one): rates[one] for one in rates},
        "best_batch": best,
        "best_images_per_second": rates[best],
        **peak,
    }


def _throughput(opened: Network, network: dict[str, object], batch: int) -> float | None:
    """Images a second; None where they do not fit."""
    gc.collect()
    try:
        run = opened.prepare(inputs_of(network, images=batch))
        run()
        return batch / statistics.median(_seconds(run))
    # Libraries have an exception of their own for it each.
    except Exception as error:
        if any(sign in str(error).lower() for sign in OUT_OF_MEMORY):
            return None
        raise


def _seconds(run: Run) -> list[float]:
    for _ in range(WARM_UP):
        run()
    seconds: list[float] = []
    while len(seconds) < FEWEST_RUNS or (len(seconds) < MOST_RUNS and sum(seconds) < MOST_SECONDS):
        seconds.append(_timed(run))
    return seconds


def _timed(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
