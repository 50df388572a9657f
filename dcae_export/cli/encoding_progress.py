"""How far an encoding is, which knows only on its way how many pictures there are."""

import time
from collections.abc import Callable
from datetime import timedelta

from dcae_export.cli.progress import Progress


class EncodingProgress:
    """Takes the numbers of pictures that are done and of all, and says how much time is left."""

    def __init__(self, progress: Progress, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock
        self._begun: tuple[float, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` pictures are done; the first call's were done before."""
        now_s = self._clock()
        if self._begun is None:
            self._begun = now_s, done
        self._progress.stage(
            f"encoding: {done} of {total} pictures{self._left(now_s, done, total)}"
        )

    def _left(self, now_s: float, done: int, total: int) -> str:
        assert self._begun is not None
        begun_s, done_before = self._begun
        if done == done_before:
            return ""
        seconds = (total - done) * (now_s - begun_s) / (done - done_before)
        return f", {timedelta(seconds=round(seconds))} left"
