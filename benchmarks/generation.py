"""One picture from noise through a bundle, each part timed in a fresh process."""

from benchmarks.artifacts import Artifacts
from benchmarks.process import WorkerError, WorkerProcess


def measure_generation(
    artifacts: Artifacts, variant: str, transformer: str, side: int
) -> dict[str, object]:
    """Seconds and peaks of a square picture of ``side`` pixels, or ``not_run`` with the reason."""
    try:
        folder = artifacts.pipeline(variant, transformer, side)
        with WorkerProcess() as worker:
            return worker.call("generate", folder=str(folder), side=side)
    except WorkerError as error:
        return {"not_run": str(error)}
