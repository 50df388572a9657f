"""A worker process, as its parent sees it."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
SECONDS_TO_END = 10


class WorkerError(Exception):
    """A task that a worker could not do; the message is one line."""


class WorkerProcess:
    """A fresh interpreter that does tasks one after the other; ends with the ``with`` block."""

    def __init__(self, *, environment: dict[str, str] | None = None) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.worker"],
            cwd=ROOT,
            env=os.environ | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            encoding="utf-8",
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def call(self, task: str, **arguments: object) -> dict[str, object]:
        """Have one task done, and wait for it.

        Raises:
            WorkerError: It failed, or the process died of it.
        """
        self._ask(task, arguments)
        return self._reply(task)

    def parts(self, task: str, **arguments: object) -> Iterator[dict[str, object]]:
        """Have one task done whose result grows: each state of it, as soon as it is there.

        Raises:
            WorkerError: As ``call``.
        """
        self._ask(task, arguments)
        while reply := self._reply(task):
            part = reply["part"]
            assert isinstance(part, dict)
            yield part

    def _ask(self, task: str, arguments: dict[str, object]) -> None:
        assert self._process.stdin is not None
        # A process that has ended is found by its reply.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"task": task, "arguments": arguments}) + "\n")
            self._process.stdin.flush()

    def _reply(self, task: str) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(
                f"{task}: the process ended with {self._process.wait()}{self._last_words()}"
            )
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(str(reply["error"]))
        return reply

    def seconds(self, task: str, **arguments: object) -> float:
        """Have a task done that answers with its own duration."""
        return float(str(self.call(task, **arguments)["seconds"]))

    def peak_bytes(self) -> int:
        """The most memory that the process held so far."""
        return int(str(self.call("peak")["bytes"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
        try:
            self._process.communicate(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._stderr.close()

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""
