"""Run the program under test: a command line in, a status and two texts out."""

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

# Nothing of the suite takes a second on an idle machine: what takes minutes has hung.
_SECONDS = 300


class Outcome(NamedTuple):
    """What a run of the program gave."""

    status: int
    out: str
    err: str


Program = Callable[[Sequence[str]], Outcome]


def process(command: Sequence[str], **environment: str) -> Program:
    """A program that is run as a process of its own: its path, and arguments that come first."""

    def run(arguments: Sequence[str]) -> Outcome:
        result = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env=os.environ | environment,
        )
        return Outcome(
            result.returncode,
            result.stdout.decode(errors="backslashreplace"),
            result.stderr.decode(errors="backslashreplace"),
        )

    return run
