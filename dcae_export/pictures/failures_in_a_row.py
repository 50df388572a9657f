"""When so many pictures cannot be read, one after the other, that leaving them out would hide a fault."""

from collections.abc import Sequence
from pathlib import Path

from dcae_export.errors import PictureError
from dcae_export.pictures.skipped import MAX_FAILURES_IN_A_ROW, Skip


class FailuresInARow:
    """How many pictures of a folder failed since the last batch in which one could be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def add(self, skipped: Sequence[Skip], *, num_read: int) -> None:
        """Note a batch: the pictures that were left out, and how many could be read.

        Raises:
            PictureError: Too many failed in a row.
        """
        failures = self._count + len(skipped)
        self._count = 0 if num_read else failures
        if self._count >= MAX_FAILURES_IN_A_ROW:
            last = skipped[-1]
            raise PictureError(
                f"{self._folder}: {failures} pictures in a row cannot be read; the last, {last.name}: "
                f"{last.detail}; check the disk"
            )
