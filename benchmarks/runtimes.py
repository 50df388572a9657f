"""The C++ runtime beside the Python one: start-up, a step apart from its network, a whole picture, sizes of files."""

import importlib.util
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import peak_bytes
from benchmarks.process import ROOT, WorkerError, WorkerProcess
from benchmarks.turns import median_ratio

CPP, PYTHON = "dcae-run", "dcae"
IN_PROCESS, NETWORK = "dcae, in one process", "the network alone"
# The difference of two runs has neither start nor decoder.
EVALUATIONS = (100, 1000)
SAMPLER = "euler"
DEMO_SIDE = 512
DEMO_REQUEST = ("--label", "clouds", "--seed", "0")
PERIOD_SECONDS = 0.002
_ONE_THREAD = ("--threads", "1")

Turn = Callable[[], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """Both programs, with the same library of ONNX Runtime."""

    cpp: Path

    def commands(self, *arguments: str | Path) -> dict[str, list[str]]:
        """The same call of each, by its name."""
        rest = list(map(str, arguments))
        return {
            CPP: [str(self.cpp), *rest],
            PYTHON: [sys.executable, "-m", "dcae_export", *rest],
        }


def samplers(evaluations: Sequence[int]) -> list[str]:
    """The samplers of so many evaluations."""
    return [f"{SAMPLER}:{count}" for count in evaluations]


def measure_start(
    programs: Programs, *arguments: str | Path, rounds: int
) -> dict[str, dict[str, object]]:
    """CPU seconds of whole processes that take turns."""
    commands = programs.commands(*arguments)
    return _contest(_turns(commands), rounds)


def measure_steps(
    programs: Programs, bundle: Path, *, rounds: int, evaluations: tuple[int, int] = EVALUATIONS
) -> dict[str, dict[str, object]]:
    """CPU seconds of one evaluation, by the difference of two runs; the network is the same in all.

    Args:
        programs: Both programs.
        bundle: One with the sampler at both numbers of evaluations.
        rounds: How often each takes its turn.
        evaluations: Of the two runs.
    """
    few, many = evaluations
    with tempfile.TemporaryDirectory() as folder, WorkerProcess() as worker:
        out = Path(folder, "picture.png")

        def twice(name: str) -> float:
            seconds = [
                _cpu_seconds(
                    programs.commands(
                        *("generate", bundle, "--sampler", sampler),
                        *(*_ONE_THREAD, "--force", "--out", out),
                    )[name]
                )
                for sampler in samplers(evaluations)
            ]
            return (seconds[1] - seconds[0]) / (many - few)

        return _contest(
            {
                CPP: partial(twice, CPP),
                PYTHON: partial(twice, PYTHON),
                IN_PROCESS: partial(
                    worker.seconds,
                    "sample twice",
                    bundle=str(bundle),
                    samplers=samplers(evaluations),
                ),
                NETWORK: partial(
                    worker.seconds, "evaluate alone", bundle=str(bundle), count=many - few
                ),
            },
            rounds,
        )


def measure_picture(
    programs: Programs, bundle: Path, *request: str, rounds: int
) -> dict[str, dict[str, object]]:
    """CPU seconds and peak of a whole picture on one thread, and whether the pixels are equal.

    Raises:
        WorkerError: The pixels differ.
    """
    with tempfile.TemporaryDirectory() as folder:
        outs = {name: Path(folder, f"{name}.png") for name in (CPP, PYTHON)}
        commands = {
            name: programs.commands(
                *("generate", bundle, *request, *_ONE_THREAD, "--force", "--out", out)
            )[name]
            for name, out in outs.items()
        }
        cell = _contest(_turns(commands), rounds)
        pictures = [cv2.imread(str(out)) for out in outs.values()]
        if not np.array_equal(*pictures):
            raise WorkerError(f"{bundle}: {CPP} and {PYTHON} give different pixels")
        peaks = {name: _peak(command) for name, command in commands.items()}
    return {name: {**entry, "peak_bytes": peaks[name]} for name, entry in cell.items()}


def measure_files(programs: Programs) -> dict[str, dict[str, int]]:
    """Bytes of program and library, as built and stripped.

    Raises:
        WorkerError: There is no `strip`.
    """
    strip = shutil.which("strip")
    if strip is None:
        raise WorkerError("strip: no such program; it comes with the compiler")
    cell: dict[str, dict[str, int]] = {}
    for path in (programs.cpp, programs.cpp.with_name("libdcae.so")):
        with tempfile.TemporaryDirectory() as folder:
            stripped = Path(folder, path.name)
            subprocess.run([strip, "-o", stripped, path], check=True)
            cell[path.name] = {"bytes": path.stat().st_size, "stripped": stripped.stat().st_size}
    return cell


def _contest(turns: Mapping[str, Turn], rounds: int) -> dict[str, dict[str, object]]:
    """The seconds of each, in turn, with their median and the median of their ratios to the C++ program's."""
    # The first one reads files from disk.
    for turn in turns.values():
        turn()
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            seconds[name].append(turn())
    return {
        name: {
            "seconds": own,
            "median": statistics.median(own),
            "ratio": median_ratio(own, seconds[CPP]),
        }
        for name, own in seconds.items()
    }


def _turns(commands: Mapping[str, Sequence[str]]) -> dict[str, Turn]:
    return {name: partial(_cpu_seconds, command) for name, command in commands.items()}


def _cpu_seconds(command: Sequence[str]) -> float:
    """What a command takes from its start to its end.

    Raises:
        WorkerError: It failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=_environment()
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise WorkerError(f"{command[0]}: status {done.returncode}: {last[0]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _peak(command: Sequence[str]) -> int:
    """The most memory that a command takes: the system keeps it as long as the process lives."""
    peak = 0
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=_environment()
    ) as process:
        while process.poll() is None:
            try:
                peak = max(peak, peak_bytes(process.pid))
            except (OSError, StopIteration):
                break  # It has ended, and nobody has asked for its status yet.
            time.sleep(PERIOD_SECONDS)
    return peak


def _environment() -> dict[str, str]:
    found = importlib.util.find_spec("onnxruntime")
    assert found is not None
    assert found.origin is not None
    (library,) = (Path(found.origin).parent / "capi").glob("libonnxruntime.so.*")
    return os.environ | {"DCAE_ONNXRUNTIME": str(library)}
