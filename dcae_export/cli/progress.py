"""A line on the terminal that says how far a command is, once it has taken longer than a second."""

import sys
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Display
    from rich.progress import TaskID

_DELAY_S = 1.0


class Progress:
    """What is being done, and how much is left where the number of steps is known.

    Nothing is shown where stderr is no terminal.
    """

    def __init__(self, stage: str, *, steps: int | None = None) -> None:
        self._stage = stage
        self._steps = steps
        self._done = 0
        self._lock = threading.Lock()
        self._display: tuple[Display, TaskID] | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._timer = threading.Timer(_DELAY_S, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._display is not None:
            self._display[0].stop()

    def stage(self, name: str) -> None:
        """Say what is being done from now on."""
        with self._lock:
            self._stage = name
            self._update()

    def advance(self) -> None:
        """Count one step as done."""
        with self._lock:
            self._done += 1
            self._update()

    def _update(self) -> None:
        if self._display is not None:
            display, task = self._display
            display.update(task, description=self._stage, completed=self._done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Display

        counted = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        display = Display(
            SpinnerColumn("line"),
            TextColumn("{task.description}", markup=False),
            *(() if self._steps is None else counted),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            # What a command prints meanwhile stays where it sends it.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with self._lock:
            task = display.add_task(self._stage, total=self._steps, completed=self._done)
            self._display = (display, task)
            display.start()
