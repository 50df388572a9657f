"""Time several workers in turns, so that a machine that slows down slows all of them."""

import statistics
import time
from collections.abc import Sequence

from benchmarks.process import WorkerError, WorkerProcess

# ONNX Runtime's threads spin for up to 30 ms after a run (measured) before they sleep.
SETTLING_SECONDS = 0.1


def take_turns(
    workers: dict[str, WorkerProcess], shape: Sequence[int], *, rounds: int
) -> tuple[dict[str, list[float]], dict[str, WorkerError]]:
    """The seconds of ``rounds`` runs of each worker, and why others could not finish theirs."""
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    failures: dict[str, WorkerError] = {}
    for _ in range(rounds):
        for name in list(seconds):
            time.sleep(SETTLING_SECONDS)
            try:
                seconds[name].append(workers[name].seconds("run", shape=shape))
            except WorkerError as error:
                failures[name] = error
                del seconds[name]
    return seconds, failures


def median_ratio(measured: Sequence[float], base: Sequence[float]) -> float:
    """The median over rounds of one's time by the other's in the same round."""
    return statistics.median(own / other for own, other in zip(measured, base, strict=True))
