"""Which samples each process takes: the place in the data as one number."""

from collections.abc import Iterator
from dataclasses import dataclass


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
