"""A worker process: takes one task a line as JSON, answers each with a line of JSON.

Run by ``benchmarks.process``. It ends when its standard input does.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import peak_bytes

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Reply = dict[str, object]

# Imported only where they are asked for: a worker that runs a bundle must not hold torch.
TASKS = {
    "draw weights": "benchmarks.tasks.prepare:draw_weights",
    "export bundle": "benchmarks.tasks.prepare:export_bundle",
    "export plain": "benchmarks.tasks.prepare:export_plain",
    "make transformer": "benchmarks.tasks.transformer_files:make_transformer",
    "transformer input": "benchmarks.tasks.transformer_files:input_shape",
    "export pipeline": "benchmarks.tasks.generation:export_pipeline",
    "generate": "benchmarks.tasks.generation:generate",
    "describe gpu": "benchmarks.tasks.gpu:describe_gpu",
    "describe gpu network": "benchmarks.tasks.gpu:describe_network",
    "export gpu bundle": "benchmarks.tasks.gpu:export_bundle",
    "export gpu transformer": "benchmarks.tasks.gpu:export_transformer",
    "measure products": "benchmarks.tasks.gpu:measure_products",
    "measure gpu network": "benchmarks.tasks.gpu:measure_network",
    "measure gpu image": "benchmarks.tasks.gpu:measure_image",
    "measure gpu loops": "benchmarks.tasks.gpu:measure_loops",
    "plot gpu": "benchmarks.gpu_plot:plot",
    "export tiny": "benchmarks.tasks.runtime_bundles:export_tiny",
    "export demo": "benchmarks.tasks.runtime_bundles:export_demo",
    "sample twice": "benchmarks.tasks.runtime_steps:sample_twice",
    "evaluate alone": "benchmarks.tasks.runtime_steps:evaluate_alone",
    "session options": "benchmarks.tasks.session_options:measure_options",
    "train steps": "benchmarks.tasks.training:train_steps",
    "draw study pictures": "benchmarks.study_pictures:write_pictures",
    "study bicubic": "benchmarks.tasks.study:measure_bicubic",
    "study stage": "benchmarks.tasks.study:train_stage",
    "demo family": "benchmarks.tasks.demo_reconstruction:measure_family",
    "demo photograph": "benchmarks.tasks.demo_reconstruction:measure_photograph",
    "demo sizes": "benchmarks.tasks.demo_reconstruction:measure_sizes",
    "demo reconstruction sheet": "benchmarks.tasks.demo_reconstruction:draw_sheet",
    "reconstruct once": "benchmarks.tasks.whole_picture:reconstruct_once",
    "train demo classifier": "benchmarks.tasks.demo_classifier:train_classifier",
    "measure held-out class": "benchmarks.tasks.demo_generation:measure_held_out",
    "generate class": "benchmarks.tasks.demo_generation:generate_class",
    "demo generation sheet": "benchmarks.tasks.demo_generation:draw_sheet",
    "draw toy latents": "benchmarks.tasks.toy_latents:draw_latents",
    "measure toy latents": "benchmarks.tasks.distribution:measure_latents",
    "measure noise": "benchmarks.tasks.distribution:measure_noise",
    "measure best network": "benchmarks.tasks.distribution:measure_best",
    "train on toy latents": "benchmarks.tasks.distribution:train_on",
    "flow errors": "benchmarks.tasks.flow:flow_errors",
    "measure export": "benchmarks.tasks.costs:measure_export",
    "measure opening": "benchmarks.tasks.costs:measure_opening",
    "count operators": "benchmarks.tasks.graphs:count_operators",
    "profile": "benchmarks.tasks.graphs:profile",
}
LONGEST_REASON = 200


class Training(Protocol):
    """A training that takes turns."""

    def take(self, steps: int) -> Reply: ...
    def end(self) -> Reply: ...


class Worker:
    """Holds one contestant's network between tasks, or its training."""

    def __init__(self) -> None:
        self._network: Network | None = None
        self._training: Training | None = None

    def handle(self, task: str, arguments: dict[str, object]) -> Reply | Iterator[Reply]:
        """Do one task; one whose result grows gives each state of it."""
        match task:
            case "open":
                return self._open(**arguments)  # type: ignore[arg-type]
            case "run":
                return self._run(**arguments)  # type: ignore[arg-type]
            case "begin training":
                return self._begin(**arguments)  # type: ignore[arg-type]
            case "train on" | "end training":
                return self._train(task, **arguments)  # type: ignore[arg-type]
            case "peak":
                return {"bytes": peak_bytes()}
            case _:
                module, _, function = TASKS[task].partition(":")
                return getattr(importlib.import_module(module), function)(**arguments)

    def _open(self, module: str, files: str, graph: str) -> Reply:
        start = time.perf_counter()
        contestant = importlib.import_module(module)
        self._network = contestant.open_network(Path(files), graph)
        return {"seconds": time.perf_counter() - start}

    def _begin(self, module: str, **arguments: object) -> Reply:
        self._training = importlib.import_module(module).begin(**arguments)
        return {}

    def _train(self, task: str, steps: int = 0) -> Reply:
        assert self._training is not None
        return self._training.take(steps) if task == "train on" else self._training.end()

    def _run(self, shape: list[int], output: str | None = None) -> Reply:
        assert self._network is not None
        value = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        start = time.perf_counter()
        result = self._network(value)
        seconds = time.perf_counter() - start
        if output is not None:
            np.save(output, result)
        return {"seconds": seconds}


def serve() -> None:
    """Answer tasks until there are no more."""
    # What libraries print must not stand between the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        for reply in _replies(worker, request["task"], request["arguments"]):
            replies.write(json.dumps(reply) + "\n")
            replies.flush()


def _replies(worker: Worker, task: str, arguments: dict[str, object]) -> Iterator[Reply]:
    """A task's result; of one whose result grows each state of it, and an empty one at the end."""
    try:
        result = worker.handle(task, arguments)
        if isinstance(result, dict):
            yield result
            return
        for part in result:
            yield {"part": part}
        yield {}
    except Exception as error:  # noqa: BLE001 - the parent decides what a failure means
        yield {"error": _reason(error)}


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:LONGEST_REASON]


if __name__ == "__main__":
    serve()
