"""Kill a training at random moments, resume it, and compare what it leaves with an undisturbed run."""

import os
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Steps and checkpoints last milliseconds: looking more often would take the processor from them.
_LOOK_EVERY_S = 0.002
_LONGEST_RUN_S = 600


def kill_at_random(
    command: Callable[[Path], Sequence[str]],
    run: Path,
    *,
    steps: int,
    times: int,
    longest_wait_s: float,
    seed: int,
) -> int:
    """Start the ``command`` of ``run`` again and again, which resumes it, and kill each process.

    A process is killed when the run has come to a step that is drawn, and then a time that is drawn, at most
    ``longest_wait_s``, has passed: in a step, or while a checkpoint is written.

    Returns:
        How many processes were killed before their end; a last one came to it.
    """
    moments = random.Random(seed)
    kills = 0
    for step in sorted(moments.randrange(steps) for _ in range(times)):
        with subprocess.Popen(
            command(run), env=environment(), stdout=subprocess.DEVNULL
        ) as process:
            _wait_for_step(process, run, step)
            time.sleep(moments.uniform(0, longest_wait_s))
            if process.poll() is None:
                kills += 1
            process.kill()
    subprocess.run(
        command(run),
        env=environment(),
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=_LONGEST_RUN_S,
    )
    return kills


def last_checkpoint(run: Path) -> dict[str, bytes]:
    """The files of the checkpoint that the pointer names, byte for byte."""
    checkpoints = run / "checkpoints"
    newest = checkpoints / (checkpoints / "LATEST").read_text().strip()
    return {path.name: path.read_bytes() for path in newest.iterdir()}


def environment() -> dict[str, str]:
    """One thread: with several, sums may be taken in another order."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def _wait_for_step(process: subprocess.Popen[bytes], run: Path, step: int) -> None:
    until = time.monotonic() + _LONGEST_RUN_S
    while _step(run) < step and process.poll() is None and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)


def _step(run: Path) -> int:
    try:
        return int((run / "checkpoints" / "LATEST").read_text().strip().removeprefix("step-"))
    except FileNotFoundError:
        return 0
