"""Run the project's public commands one after another, each shown as it would be typed."""

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Final

import click

# By their first word: this interpreter runs them, whatever is on the path.
_PROGRAMS: Final = {
    "dcae": ("-m", "dcae_export"),
    "dcae-export": ("-m", "dcae_export", "export"),
    "python": (),
}
_BYTES_PER_MAXRSS: Final = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a command took: time, and the memory of its largest process, no less than this one's on Linux."""

    seconds: float
    peak_bytes: int


def run_public(*words: str) -> Cost:
    """Show and run one command; its output goes where ours goes.

    Args:
        words: ``dcae``, ``dcae-export`` or ``python``, and the arguments.

    Raises:
        click.exceptions.Exit: It failed; its status is ours.
        KeyboardInterrupt: It was interrupted, and has ended.
    """
    program, *arguments = words
    click.echo(f"$ {shlex.join(words)}")
    sys.stdout.flush()
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *_PROGRAMS[program], *arguments])  # noqa: S603 - our own words
    try:
        _, waited, usage = os.wait4(process.pid, 0)
    except KeyboardInterrupt:
        # It was interrupted with us, and writes a checkpoint before it ends.
        process.wait()
        raise
    status = os.waitstatus_to_exitcode(waited)
    process.returncode = status
    if status:
        raise click.exceptions.Exit(status if status > 0 else 128 - status)
    return Cost(seconds=time.monotonic() - started, peak_bytes=usage.ru_maxrss * _BYTES_PER_MAXRSS)
