"""What the training engine costs: its steps beside those of a plain PyTorch loop over the same network.

Both train f64's graph with narrow widths from the same weights on the same batches, with the same losses,
optimizer, clipping and averages. They live in two processes that take turns, so that a machine that slows down
slows both, and end with the same bits. Checkpoints and samples are not in it.
"""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.process import WorkerProcess
from benchmarks.turns import SETTLING_SECONDS, median_ratio
from dcae_export.errors import ParityError

Cell = dict[str, dict[str, object]]
BASE = "plain"
CONTESTANTS = ("engine", BASE)
# The first steps allocate memory, and oneDNN chooses its kernels.
UNTIMED_STEPS = 2
BATCH_SIZE = 2
DIVISOR = 8


def measure_engine(*, size: int, rounds: int, steps: int, divisor: int = DIVISOR) -> Cell:
    """Time ``rounds`` interleaved turns of ``steps`` steps each.

    ``ratio`` is the median over rounds of a contestant's median step by the plain loop's in the same round.

    Raises:
        ParityError: The two end with different weights.
        WorkerError: One cannot train.
    """
    recipe = _recipe(size=size, steps=UNTIMED_STEPS + rounds * steps + 1)
    seconds: dict[str, list[list[float]]] = {name: [] for name in CONTESTANTS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = {name: stack.enter_context(WorkerProcess()) for name in CONTESTANTS}
        for name, worker in workers.items():
            worker.call(
                "begin training",
                module="benchmarks.tasks.engine_turns",
                contestant=name,
                recipe=recipe,
                folder=str(folder / name),
                divisor=divisor,
            )
            worker.call("train on", steps=UNTIMED_STEPS)
        for _ in range(rounds):
            for name, worker in workers.items():
                time.sleep(SETTLING_SECONDS)
                seconds[name].append(_numbers(worker.call("train on", steps=steps)["seconds"]))
        ends = {name: worker.call("end training") for name, worker in workers.items()}
    if ends["engine"]["weights"] != ends[BASE]["weights"]:
        raise ParityError("the engine's weights and those of a plain loop differ")
    medians = {name: [statistics.median(turn) for turn in turns] for name, turns in seconds.items()}
    return {
        name: {
            **ends[name],
            "seconds": seconds[name],
            "median": statistics.median(medians[name]),
            "ratio": median_ratio(medians[name], medians[BASE]),
        }
        for name in CONTESTANTS
    }


def _recipe(*, size: int, steps: int) -> dict[str, object]:
    """Phase 1 as the recipes have it; nothing is written before the last step, which is not timed."""
    return {
        "phase": "full",
        "size": size,
        "batch_size": BATCH_SIZE,
        "steps": steps,
        "workers": 0,
        "optimizer": {"learning_rate": 6.4e-5, "weight_decay": 0.1, "clip_norm": 1.0},
        "losses": {"l1": 1.0, "perceptual": {"weight": 0.25, "kind": "structure"}},
        "checkpoint_every": steps,
        "sample_every": None,
    }


def _numbers(values: object) -> list[float]:
    assert isinstance(values, list)
    return [float(value) for value in values]
