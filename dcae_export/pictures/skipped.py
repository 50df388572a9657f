"""Which pictures are left out, and the record of them."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Self

from dcae_export.files.whole_file import whole_file
from dcae_export.pictures.picture_file import MAX_PIXELS

# More lines than anyone reads, and few enough that a million bad pictures cost no memory.
MAX_LISTED: Final = 10_000
# So many pictures in a row that cannot be decoded are no accident: the disk or the folder is gone.
MAX_FAILURES_IN_A_ROW: Final = 1000


class SkipReason(Enum):
    """Why a picture is left out."""

    UNREADABLE = "unreadable"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """One picture, folder or shard that was left out; name and detail are printable, one line each."""

    name: str
    reason: SkipReason
    detail: str

    @classmethod
    def of(cls, name: str, reason: SkipReason, detail: object) -> Self:
        """Record a name as the file system has it, with what characters cannot be printed escaped."""
        return cls(name=_printable(name), reason=reason, detail=_printable(str(detail)))


class Skipped:
    """What was left out so far: each name once, counted in full and listed up to ``MAX_LISTED``."""

    def __init__(self) -> None:
        self._counts: Counter[SkipReason] = Counter()
        self._listed: list[Skip] = []
        # Hashes in place of names: a picture fails again in each epoch.
        self._seen: set[int] = set()

    def add(self, skips: Iterable[Skip]) -> None:
        """Record what has not been recorded before."""
        for skip in skips:
            key = hash(skip.name)
            if key in self._seen:
                continue
            self._seen.add(key)
            self._counts[skip.reason] += 1
            if len(self._listed) < MAX_LISTED:
                self._listed.append(skip)

    def __len__(self) -> int:
        return self._counts.total()

    @property
    def counts(self) -> dict[SkipReason, int]:
        """How many were left out for each reason that occurred."""
        return {reason: self._counts[reason] for reason in SkipReason if self._counts[reason]}

    @property
    def listed(self) -> tuple[Skip, ...]:
        """The first of them, in the order in which they were met."""
        return tuple(self._listed)

    def write_csv(self, path: Path) -> None:
        """Write what is listed as name, reason and detail.

        Raises:
            InputError: The file cannot be written.
            ResourceError: The disk is full.
        """
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(("name", "reason", "detail"))
        table.writerows((skip.name, skip.reason.value, skip.detail) for skip in self._listed)
        with whole_file(path, force=True) as file:
            file.write(text.getvalue().encode())

    def __str__(self) -> str:
        parts = [f"{count} {reason.value}" for reason, count in self.counts.items()]
        return ", ".join(parts) or "none"


def size_problem(name: str, size: tuple[int, int], *, min_side: int) -> Skip | None:
    """Say why a picture of (width, height) pixels is left out, or None where it is not."""
    width, height = size
    if min(width, height) < min_side:
        detail = f"{width} x {height}, at least {min_side} pixels a side are needed"
        return Skip.of(name, SkipReason.TOO_SMALL, detail)
    if width * height > MAX_PIXELS:
        detail = f"{width} x {height} is {width * height} pixels, at most {MAX_PIXELS} are read"
        return Skip.of(name, SkipReason.TOO_LARGE, detail)
    return None


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
