"""SIGINT and SIGTERM ask a training to stop after its step."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_Handler = Callable[[int, FrameType | None], object] | int | None


class Interruption:
    """Whether this process was told to stop since the context was entered.

    Only the first signal is taken, and ``on_request`` called: the second has the effect that it had before, which
    for SIGINT is a KeyboardInterrupt at once. In a thread other than the main one no signal can be taken, and none is.
    """

    def __init__(self, on_request: Callable[[], None] | None = None) -> None:
        """Take no signal yet."""
        self.requested = False
        self._on_request = on_request
        self._before: dict[signal.Signals, _Handler] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_back()

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._give_back()
        if self._on_request is not None:
            self._on_request()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
