"""A million file names in two blocks of memory.

A list would take three times the memory, and again in each worker process: counting references to its strings
writes to every page that a forked process shares with its parent.
"""

import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator


class FileNames:
    """Names relative to a folder, in a fixed order, as the file system's bytes."""

    def __init__(self, names: Iterable[bytes]) -> None:
        joined = bytearray()
        ends = array("q", [0])
        for name in names:
            joined += name
            ends.append(len(joined))
        self._joined = bytes(joined)
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, at: int) -> str:
        """The name at a place from 0 on, as ``os.fsdecode`` reads it."""
        return os.fsdecode(self._joined[self._ends[at] : self._ends[at + 1]])

    def __iter__(self) -> Iterator[str]:
        return (self[at] for at in range(len(self)))


def names_digest(names: Iterable[str]) -> str:
    """The sha256 of names in their order, which tells one choice of files from another."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(name) + b"\0")
    return digest.hexdigest()
