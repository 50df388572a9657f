"""A picture from noise: export once, then seconds of each part and the peak of a fresh process."""

import importlib
import time
from pathlib import Path

from benchmarks.machine import peak_bytes

LABEL = 88


def export_pipeline(variant: str, transformer: str, side: int, folder: str) -> dict[str, object]:
    """Export random weights; learned positions are stretched to ``side`` pixels."""
    exporter = importlib.import_module("dcae_export.export.exporter")
    options = importlib.import_module("dcae_export.export.options")
    source = importlib.import_module("dcae_export.models.source")
    uvit = importlib.import_module("dcae_export.models.uvit")
    checkpoint = source.resolve_transformer("random:0", name=transformer, autoencoder=variant)
    stretched = (side, side) if isinstance(checkpoint.config, uvit.UViTConfig) else None
    exporter.export(
        source.resolve("random:0", variant=variant),
        Path(folder),
        options.ExportOptions(interpolate_positions=stretched),
        transformer=exporter.TransformerExport(checkpoint=checkpoint),
    )
    return {}


def generate(folder: str, side: int) -> dict[str, object]:
    """Generate one picture with the bundle's own sampler and guidance."""
    pipeline_module = importlib.import_module("dcae_export.runtime.pipeline")
    start = time.perf_counter()
    pipeline = pipeline_module.Pipeline.open(folder)
    steps: list[float] = []
    latents = pipeline.sample(
        [LABEL], size=(side, side), on_step=lambda *_: steps.append(time.perf_counter())
    )
    sampled = time.perf_counter()
    sampling_peak = peak_bytes()
    (image,) = pipeline.decode(latents)
    return {
        "sampler": pipeline.samplers.default,
        "pixels": list(image.shape[:2]),
        "first_step_seconds": steps[0] - start,
        "step_seconds": (steps[-1] - steps[0]) / (len(steps) - 1),
        "sampling_seconds": sampled - start,
        "decoding_seconds": time.perf_counter() - sampled,
        "sampling_peak_bytes": sampling_peak,
        "peak_bytes": peak_bytes(),
    }
