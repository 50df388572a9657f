"""How fast a training runs, over its last steps."""

import time
from collections import deque
from collections.abc import Callable

# Long enough to even out single steps, short enough to follow a change of the machine's load.
_WINDOW = 20


class Pace:
    """Seconds per step, over the last 20 steps; what lies between them, as writing a checkpoint, counts."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin now; ``clock`` gives seconds."""
        self._clock = clock
        self._times = deque([clock()], maxlen=_WINDOW + 1)

    def step(self) -> float:
        """Seconds per step; to be called at the end of each."""
        self._times.append(self._clock())
        return (self._times[-1] - self._times[0]) / (len(self._times) - 1)
