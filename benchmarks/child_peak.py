"""Watch the memory of a process's children.

getrusage(RUSAGE_CHILDREN) will not do: a child's maximum there starts at the peak of its parent, which an
export of several gigabytes would lend to its small simplifier.
"""

import threading
from types import TracebackType
from typing import Self

import psutil

from benchmarks.machine import peak_bytes

PERIOD_SECONDS = 0.05


class ChildPeak:
    """The most that any child whose command line holds ``mark`` took while the ``with`` block ran."""

    def __init__(self, parent: int, *, mark: str) -> None:
        self.bytes = 0
        self._parent = psutil.Process(parent)
        self._mark = mark
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            try:
                for child in self._parent.children(recursive=True):
                    # Before its exec a child has its parent's command line, and its parent's memory.
                    if any(self._mark in argument for argument in child.cmdline()):
                        self.bytes = max(self.bytes, peak_bytes(child.pid))
            except (psutil.Error, OSError, StopIteration):
                continue  # It ended meanwhile; a zombie has no memory to read.
