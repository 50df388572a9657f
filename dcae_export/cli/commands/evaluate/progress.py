"""How far an evaluation is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Self

from dcae_export.cli.console import print_note
from dcae_export.cli.progress import Progress

# Where nobody watches, a line for each of these, so that a log of days stays readable.
_INTERVAL_S = 60.0


class EvaluationProgress:
    """Takes how many items were done, first those of earlier runs, and shows how long the rest will take."""

    def __init__(
        self, stage: str, *, items: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stage = stage
        self._items = items
        self._clock = clock
        self._bar = Progress(stage, steps=items)
        self._done = 0
        self._earlier: int | None = None
        self._began_s = self._told_s = clock()

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(*error)

    def __call__(self, items: int) -> None:
        """Count items as done."""
        self._done += items
        for _ in range(items):
            self._bar.advance()
        now_s = self._clock()
        if self._earlier is None:
            self._earlier = items
            self._began_s = now_s
        elif now_s - self._told_s >= _INTERVAL_S and not sys.stderr.isatty():
            self._told_s = now_s
            print_note(f"{self._stage}: {self._done} of {self._items}, {self._left(now_s)} left")

    def _left(self, now_s: float) -> timedelta:
        assert self._earlier is not None
        seconds_per_item = (now_s - self._began_s) / (self._done - self._earlier)
        return timedelta(seconds=round(seconds_per_item * (self._items - self._done)))
