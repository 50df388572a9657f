"""What an export and an opened graph cost; each is measured in a process of its own."""

import importlib
import time
from pathlib import Path

from benchmarks.machine import peak_bytes


def measure_export(variant: str, folder: str, seed: int) -> dict[str, object]:
    """Export random weights: seconds of each stage, and the peak of this process alone."""
    start = time.perf_counter()
    exporter = importlib.import_module("dcae_export.export.exporter")
    options = importlib.import_module("dcae_export.export.options")
    weights = importlib.import_module("dcae_export.models.weights")
    stages = [("imports", 0.0), ("drawing weights", time.perf_counter() - start)]
    checkpoint = weights.random_checkpoint(variant, seed=seed)
    exporter.export(
        checkpoint,
        Path(folder),
        options.ExportOptions(),
        progress=lambda name: stages.append((name, time.perf_counter() - start)),
    )
    total = time.perf_counter() - start
    ends = [begin for _, begin in stages[1:]] + [total]
    return {
        "stages": {name: end - begin for (name, begin), end in zip(stages, ends, strict=True)},
        "seconds": total,
        "peak_bytes": peak_bytes(),
        "disk_bytes": sum(
            path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()
        ),
    }


def measure_opening(folder: str, graph: str, *, verify_hashes: bool) -> dict[str, object]:
    """Open one graph of a bundle: seconds without the imports, and the peak."""
    reader = importlib.import_module("dcae_export.bundle.reader")
    session = importlib.import_module("dcae_export.runtime.session")
    importlib.import_module("onnxruntime")
    start = time.perf_counter()
    files = reader.Bundle.open(folder, verify_hashes=verify_hashes).check_graph(graph)
    checked = time.perf_counter()
    session.Session(files)
    return {
        "seconds": time.perf_counter() - start,
        "checking_seconds": checked - start,
        "peak_bytes": peak_bytes(),
    }
