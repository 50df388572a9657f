"""Processes that measure together, each a share of the items; what they found comes together in the first."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch.distributed as dist

Value = TypeVar("Value")

# One process may wait for another as long as that one needs.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinedProcesses:
    """Which of ``count`` processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one that tells what was found."""
        return self.rank == 0

    def share(self, items: int) -> range:
        """The items that this process takes, contiguous, and of all processes equally many but for one."""
        return range(items * self.rank // self.count, items * (self.rank + 1) // self.count)

    def gather(self, value: Value) -> list[Value] | None:
        """The values of all processes by rank, in the main one; None in the others. All have to call it."""
        if self.count == 1:
            return [value]
        found = [None] * self.count if self.is_main else None
        dist.gather_object(value, found)  # pyright: ignore[reportUnknownMemberType]
        return cast("list[Value] | None", found)


@contextmanager
def joined_processes() -> Generator[JoinedProcesses]:
    """Join what a launcher started (``torchrun``, ``accelerate launch``), over gloo; alone where none did."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield JoinedProcesses()
        return
    dist.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield JoinedProcesses(rank=dist.get_rank(), count=count)
    finally:
        dist.destroy_process_group()
