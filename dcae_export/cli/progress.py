"""How far a command is: a line on the terminal after a second, a printed line now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from dcae_export.cli.console import print_note

if TYPE_CHECKING:
    from rich.progress import Progress as Display
    from rich.progress import TaskID

_DELAY_S = 1.0
# Where nobody watches: what is quick prints nothing, and a log of days stays readable.
_FIRST_LINE_S = 20.0
_NEXT_LINE_S = 30.0


class Progress:
    """What is being done, and how much is left where the number of steps is known."""

    def __init__(
        self,
        stage: str,
        *,
        steps: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stage = stage
        self._steps = steps
        self._done = 0
        self._clock = clock
        self._entered_s = clock()
        # When the first steps were counted, and how many: they may be of an earlier run.
        self._begun: tuple[float, int] | None = None
        self._newest_s = self._entered_s
        self._lock = threading.Lock()
        self._display: tuple[Display, TaskID] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._show_later if sys.stderr.isatty() else self._print_lines, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._display is not None:
            self._display[0].stop()

    def stage(self, name: str) -> None:
        """Say what is being done from now on."""
        with self._lock:
            self._stage = name
            self._update()

    def advance(self, steps: int = 1) -> None:
        """Count steps as done."""
        with self._lock:
            self._done += steps
            self._newest_s = self._clock()
            if self._begun is None:
                self._begun = self._newest_s, self._done
            self._update()

    def line(self) -> str:
        """Where the command is, as one line."""
        now_s = self._clock()
        with self._lock:
            so_far = timedelta(seconds=round(now_s - self._entered_s))
            # What follows the last step, such as decoding, is not counted.
            if self._steps is None or self._done >= self._steps:
                return f"{self._stage}, {so_far} so far"
            counted = f"{self._done} of {self._steps}"
            return f"{self._stage}: {counted}{self._left(self._steps, now_s)}, {so_far} so far"

    def _left(self, steps: int, now_s: float) -> str:
        if self._begun is None:
            return ""
        begun_s, done_before = self._begun
        if self._done == done_before:
            return ""
        pace_s = (self._newest_s - begun_s) / (self._done - done_before)
        # What has gone into the step at hand is one step's time at most, however long it takes.
        seconds = (steps - self._done) * pace_s - min(now_s - self._newest_s, pace_s)
        return f", {timedelta(seconds=round(seconds))} left"

    def _print_lines(self) -> None:
        wait_s = _FIRST_LINE_S
        while not self._over.wait(wait_s):
            print_note(self.line())
            wait_s = _NEXT_LINE_S

    def _show_later(self) -> None:
        if not self._over.wait(_DELAY_S):
            self._show()

    def _update(self) -> None:
        if self._display is not None:
            display, task = self._display
            display.update(task, description=self._stage, completed=self._done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            ProgressColumn,
            SpinnerColumn,
            Task,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import Progress as Display
        from rich.text import Text

        outer = self

        # Rich's own forgets what is older than half a minute, and so every step that takes longer.
        class TimeLeft(ProgressColumn):
            def render(self, task: Task) -> Text:
                # Without the lock: who holds that may be waiting for the display, which calls this.
                return Text(outer._left(int(task.total or 0), outer._clock()).removeprefix(", "))

        counted = (BarColumn(), MofNCompleteColumn(), TimeLeft())
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
