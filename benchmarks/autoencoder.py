"""Measure encoders and decoders: our bundle beside what it competes with.

Speed: every contestant lives in its own process, all of one case at the same time, and they take turns, so
that a machine that slows down slows all of them. Memory: a fresh process that opens one contestant and runs
it once.
"""

import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.artifacts import Artifacts
from benchmarks.case import Case
from benchmarks.contestants import BUNDLE, EAGER, Contestant
from benchmarks.process import WorkerError, WorkerProcess
from benchmarks.turns import median_ratio, take_turns
from dcae_export.errors import ParityError
from dcae_export.parity import FP32, difference

Cell = dict[str, dict[str, object]]


def measure_speed(
    case: Case, contestants: Sequence[Contestant], artifacts: Artifacts, *, rounds: int
) -> Cell:
    """Time ``rounds`` interleaved runs of each contestant, once all are proven to compute the same.

    ``ratio`` is the median over rounds of a contestant's time by the bundle's in the same round. A
    contestant that cannot run, or computes something else, has ``not_run`` with the reason.

    Raises:
        ParityError: The bundle does not compute what diffusers does.
        WorkerError: The bundle or diffusers cannot run.
    """
    shape = case.input_shape(artifacts.latent(case.variant))
    cell: Cell = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers: dict[str, WorkerProcess] = {}
        for contestant in contestants:
            try:
                worker, _ = _open(contestant, case, artifacts, stack)
                worker.call("run", shape=shape, output=str(folder / f"{contestant.name}.npy"))
            except WorkerError as error:
                _exclude(contestant.name, str(error), cell)
            else:
                workers[contestant.name] = worker
        _compare(workers, folder, case, cell)
        seconds, failures = take_turns(workers, shape, rounds=rounds)
    for name, failure in failures.items():
        _exclude(name, str(failure), cell)
    for name, measured in seconds.items():
        cell[name] |= {
            "seconds": measured,
            "median": statistics.median(measured),
            "ratio": median_ratio(measured, seconds[BUNDLE.name]),
        }
    return cell


def measure_memory(case: Case, contestants: Sequence[Contestant], artifacts: Artifacts) -> Cell:
    """The peak memory of a fresh process for each contestant, and the seconds to open and run it once.

    ``open_seconds`` holds the imports. ``ratio`` is the peak by the bundle's.
    """
    shape = case.input_shape(artifacts.latent(case.variant))
    cell: Cell = {}
    peaks: dict[str, int] = {}
    for contestant in contestants:
        try:
            with ExitStack() as stack:
                worker, open_seconds = _open(contestant, case, artifacts, stack)
                run_seconds = worker.seconds("run", shape=shape)
                peaks[contestant.name] = worker.peak_bytes()
        except WorkerError as error:
            _exclude(contestant.name, str(error), cell)
        else:
            cell[contestant.name] = {"open_seconds": open_seconds, "run_seconds": run_seconds}
    for name, peak in peaks.items():
        cell[name] |= {"peak_bytes": peak, "ratio": peak / peaks[BUNDLE.name]}
    return cell


def _open(
    contestant: Contestant, case: Case, artifacts: Artifacts, stack: ExitStack
) -> tuple[WorkerProcess, float]:
    files = contestant.files(artifacts, case)
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(artifacts.folder / "inductor")}
    worker = stack.enter_context(WorkerProcess(environment=cache))
    seconds = worker.seconds(
        "open", module=contestant.module, files=str(files), graph=case.direction.graph
    )
    return worker, seconds


def _exclude(name: str, reason: str, cell: Cell) -> None:
    """Note that a contestant does not take part; without the bundle or diffusers there is no benchmark."""
    if name in (BUNDLE.name, EAGER.name):
        raise WorkerError(f"{name}: {reason}")
    cell[name] = {"not_run": reason}


def _compare(workers: dict[str, WorkerProcess], folder: Path, case: Case, cell: Cell) -> None:
    """Take out of ``workers`` who does not compute what diffusers does."""
    expected = np.load(folder / f"{EAGER.name}.npy")
    for name in list(workers):
        found = difference(np.load(folder / f"{name}.npy"), expected)
        if found.within(FP32):
            cell[name] = {"relative_l2": found.relative_l2}
        elif name == BUNDLE.name:
            raise ParityError(f"{case}: the bundle differs from diffusers: {found}")
        else:
            del workers[name]
            cell[name] = {"not_run": f"differs from diffusers: {found}"}
