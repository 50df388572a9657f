"""Evaluations of a bundle's transformer in one process, so that Python's start does not count."""

import time

import numpy as np
from onnxruntime import OrtValue

from dcae_export.bundle.reader import Bundle
from dcae_export.runtime.pipeline import Pipeline
from dcae_export.runtime.provider_options import CPU
from dcae_export.runtime.session import graph_opener


def sample_twice(bundle: str, samplers: list[str]) -> dict[str, object]:
    """CPU seconds of an evaluation: the difference of two samplers, by that of their evaluations."""
    pipeline = Pipeline.open(bundle, threads=1, keep_sessions=True)
    counts = [pipeline.evaluations(1, sampler=sampler) for sampler in samplers]
    # The first run loads the graph.
    pipeline.sample([None], sampler=samplers[0])
    seconds: list[float] = []
    for sampler in samplers:
        start = time.process_time()
        pipeline.sample([None], sampler=sampler)
        seconds.append(time.process_time() - start)
    return {"seconds": (seconds[1] - seconds[0]) / (counts[1] - counts[0])}


def evaluate_alone(bundle: str, count: int) -> dict[str, object]:
    """CPU seconds of an evaluation by ONNX Runtime's own call, of a network without labels or variance."""
    opened = Bundle.open(bundle)
    manifest = opened.manifest
    assert manifest.diffusion is not None
    session = graph_opener(opened.check_graph("transformer"), threads=1)(
        CPU.onnxruntime_providers(), None
    )
    latent = np.zeros((1, manifest.latent.channels, *manifest.diffusion.grid), np.float32)
    # Bound to arrays of their own, a run takes nothing from Python and gives it nothing.
    bound = session.io_binding()
    bound.bind_cpu_input("latent", latent)
    bound.bind_cpu_input("timestep", np.zeros(1, np.float32))
    bound.bind_ortvalue_output("output", OrtValue.ortvalue_from_numpy(np.empty_like(latent)))
    session.run_with_iobinding(bound)
    start = time.process_time()
    for _ in range(count):
        session.run_with_iobinding(bound)
    return {"seconds": (time.process_time() - start) / count}
