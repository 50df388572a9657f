"""How a transformer is run: options of the session, and how many rows one call has."""

import statistics
import time

from benchmarks.artifacts import Artifacts
from benchmarks.denoiser import BASE, CONTESTANTS, Denoiser
from benchmarks.process import WorkerProcess
from benchmarks.turns import SETTLING_SECONDS

OPTIONS: dict[str, dict[str, bool]] = {
    "ours": {},
    "with memory pattern": {"enable_mem_pattern": True},
    "with buffer reuse": {"enable_mem_reuse": True},
    "with both, ONNX Runtime's defaults": {"enable_mem_pattern": True, "enable_mem_reuse": True},
    "ours without arena": {"enable_cpu_mem_arena": False},
}
ROWS = (1, 2, 4, 8, 16)


def measure_session_options(denoiser: Denoiser, artifacts: Artifacts) -> dict[str, object]:
    """Seconds and peak of an evaluation of two rows, each set of options in a fresh process."""
    files = artifacts.transformer(denoiser.name, denoiser.autoencoder, form=BASE)
    shape = (2, *artifacts.denoiser_input(denoiser.name, denoiser.autoencoder))
    measured: dict[str, object] = {}
    for name, settings in OPTIONS.items():
        with WorkerProcess() as worker:
            measured[name] = worker.call(
                "session options", folder=str(files), shape=shape, settings=settings
            )
    return measured


def measure_rows(denoiser: Denoiser, artifacts: Artifacts, *, rounds: int) -> dict[str, object]:
    """Median seconds a row, and the peak, for calls of one to sixteen rows."""
    files = artifacts.transformer(denoiser.name, denoiser.autoencoder, form=BASE)
    latent = artifacts.denoiser_input(denoiser.name, denoiser.autoencoder)
    measured: dict[str, object] = {}
    for rows in ROWS:
        with WorkerProcess() as worker:
            worker.call("open", module=CONTESTANTS[BASE], files=str(files), graph="transformer")
            shape = (rows, *latent)
            worker.call("run", shape=shape)
            seconds: list[float] = []
            for _ in range(rounds):
                time.sleep(SETTLING_SECONDS)
                seconds.append(worker.seconds("run", shape=shape) / rows)
            measured[str(rows)] = {
                "seconds": statistics.median(seconds),
                "peak_bytes": worker.peak_bytes(),
            }
    return measured
