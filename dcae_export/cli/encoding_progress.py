"""How far an encoding is: on the terminal's line, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta

from dcae_export.cli.console import print_note
from dcae_export.cli.progress import Progress

# Where nobody watches, a line for each of these, so that a log of days stays readable.
_INTERVAL_S = 30.0


class EncodingProgress:
    """Takes the numbers of pictures that are done and of all, and says how much time is left."""

    def __init__(self, progress: Progress, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock
        self._begun: tuple[float, int] | None = None
        self._next_line_s = clock() + _INTERVAL_S

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` pictures are done; the first call's were done before."""
        now_s = self._clock()
        if self._begun is None:
            self._begun = now_s, done
        text = f"encoding: {done} of {total} pictures{self._left(now_s, done, total)}"
        self._progress.stage(text)
        if not sys.stderr.isatty() and now_s >= self._next_line_s:
            self._next_line_s = now_s + _INTERVAL_S
            print_note(text)

    def _left(self, now_s: float, done: int, total: int) -> str:
        assert self._begun is not None
        begun_s, done_before = self._begun
        if done == done_before:
            return ""
        seconds = (total - done) * (now_s - begun_s) / (done - done_before)
        return f", {timedelta(seconds=round(seconds))} left"
