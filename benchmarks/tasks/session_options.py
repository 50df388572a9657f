"""One evaluation of a transformer under options of ONNX Runtime, in a process that did nothing else."""

import time
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.machine import peak_bytes
from benchmarks.tasks.transformer_inputs import inputs_for
from dcae_export.runtime.session import session_options

RUNS = 3


def measure_options(folder: str, shape: list[int], settings: dict[str, bool]) -> dict[str, object]:
    """The fastest of a few runs, and the peak of them all; ``settings`` are attributes of SessionOptions."""
    options = session_options(threads=None)
    for name, value in settings.items():
        setattr(options, name, value)
    session = onnxruntime.InferenceSession(
        Path(folder) / "transformer.onnx", options, providers=["CPUExecutionProvider"]
    )
    inputs = inputs_for(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
    seconds: list[float] = []
    for _ in range(RUNS):
        start = time.perf_counter()
        session.run(None, inputs)
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "peak_bytes": peak_bytes()}
