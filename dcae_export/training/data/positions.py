"""Which samples each process takes: the place in the data as one number, and the order of an epoch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Positions:
    """The global numbers of the samples of one process's micro-batches, from ``start`` on, for ever.

    All processes together take ``stride`` samples at a time in order; the process ``rank`` of ``world_size``
    takes the ``rank``-th run of ``batch_size`` of them.
    """

    start: int
    batch_size: int
    rank: int = 0
    world_size: int = 1

    @property
    def stride(self) -> int:
        """Samples of one micro-batch of all processes."""
        return self.batch_size * self.world_size

    def __iter__(self) -> Iterator[range]:
        first = self.start + self.rank * self.batch_size
        while True:
            yield range(first, first + self.batch_size)
            first += self.stride


class EpochOrder:
    """One permutation of the numbers below ``count`` after another, for ever: place p is of epoch p // count.

    Each is drawn from (``*key``, epoch, ``*stream``), the same on every machine with the same release of NumPy. The
    last one that was asked for is kept.
    """

    def __init__(self, count: int, *, key: tuple[int, ...], stream: tuple[int, ...] = ()) -> None:
        self._count = count
        self._key = key
        self._stream = stream
        self._last = (-1, np.empty(0, np.int64))

    def at(self, place: int) -> int:
        """The number at a place from 0 on."""
        epoch, within = divmod(place, self._count)
        return int(self.of(epoch)[within])

    def of(self, epoch: int) -> NDArray[np.int64]:
        """An epoch's permutation, (count,)."""
        if self._last[0] != epoch:
            generator = np.random.default_rng([*self._key, epoch, *self._stream])
            self._last = epoch, generator.permutation(self._count)
        return self._last[1]
