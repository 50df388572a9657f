"""How fast a training runs, over its last steps."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# Long enough to even out single steps, short enough to follow a change of the machine's load.
_WINDOW = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mark:
    """The end of a step: the clock's seconds, and the samples that were taken until then."""

    seconds: float
    samples: int


class Pace:
    """How fast the last 20 steps were; what lies between them, as writing a checkpoint, counts."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin now; ``clock`` gives seconds."""
        self._clock = clock
        self._marks = deque([_Mark(seconds=clock(), samples=0)], maxlen=_WINDOW + 1)

    def step(self, *, samples: int) -> None:
        """A step of so many samples ends."""
        total = self._marks[-1].samples + samples
        self._marks.append(_Mark(seconds=self._clock(), samples=total))

    @property
    def seconds_per_step(self) -> float:
        """Once a step was taken."""
        return self._seconds / (len(self._marks) - 1)

    @property
    def samples_per_second(self) -> float:
        """Once a step was taken."""
        return (self._marks[-1].samples - self._marks[0].samples) / self._seconds

    @property
    def _seconds(self) -> float:
        return self._marks[-1].seconds - self._marks[0].seconds
