"""The pictures of a folder that are evaluated, by number, read ahead of their use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dcae_export.pictures.failures_in_a_row import FailuresInARow
from dcae_export.pictures.file_names import FileNames, names_digest
from dcae_export.pictures.folder_scan import scan
from dcae_export.pictures.skipped import Skip, Skipped
from dcae_export.pictures.usable_picture import read_found

# Decoding and resizing leave Python's lock; more threads than this only hold more pictures at once.
_THREADS: Final = 4
# Batches that wait while one is measured.
_AHEAD: Final = 1
_MAX_NAMED: Final = 5
# What a result's settings call pictures that ``--count`` asked for and that were not measured.
SHORTFALL: Final = "shortfall"
# Of a picture in pixels: any.
_MIN_SIDE: Final = 1

Prepare = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def crop_text(size: int) -> str:
    """How settings name ADM's crop of ``size`` pixels a side."""
    return f"ADM's, {size} px"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadBatch:
    """The pictures of ``numbers``, as they were prepared, without those of ``skipped``, which could not be read."""

    items: int
    numbers: tuple[int, ...]
    images: tuple[NDArray[np.uint8], ...]
    skipped: tuple[Skip, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatedPictures:
    """``count`` of the pictures of ``folder``, spread evenly over their ``names``.

    ``asked`` is how many a user wanted, None for all of them; ``skipped`` have no readable header.
    """

    folder: Path
    names: FileNames
    count: int
    asked: int | None
    skipped: Skipped

    @classmethod
    def find(cls, folder: Path, *, count: int | None) -> "EvaluatedPictures":
        """Find the pictures of a folder and its subfolders, in the order of their names.

        Args:
            folder: The folder.
            count: How many are taken where there are more; None takes all.

        Raises:
            PictureError: The folder cannot be read, or holds no picture.
        """
        found, skipped = scan(folder, min_side=_MIN_SIDE)
        taken = len(found) if count is None else min(count, len(found))
        return cls(folder=folder, names=found, count=taken, asked=count, skipped=skipped)

    def name(self, number: int) -> str:
        """The name of a picture in the folder, by its number from 0 on."""
        return self.names[number * len(self.names) // self.count]

    def outcome(self, undecodable: Sequence[Skip]) -> dict[str, str]:
        """What became of them, as settings of a result: what was left out, and whether fewer were measured than asked for.

        Args:
            undecodable: Of those that were taken, the ones that turned out to be damaged.
        """
        told = {"left out": self.left_out(undecodable)}
        measured = self.count - len(undecodable)
        if self.asked is None or measured == self.asked:
            return told
        reasons: list[str] = []
        if self.count < self.asked:
            reasons.append(f"{self.folder} holds no more than {self.count}")
        if undecodable:
            # Which pictures are taken is settled before any is decoded, so that processes and a resumed run agree.
            reasons.append(f"{len(undecodable)} cannot be read, and no other one stands in")
        return told | {SHORTFALL: f"{measured} of {self.asked} measured: {'; '.join(reasons)}"}

    def left_out(self, undecodable: Iterable[Skip]) -> str:
        """What was left out, for a reader: how many, why, and the first of them by name; "none" where nothing was."""
        self.skipped.add(undecodable)
        names = ", ".join(skip.name for skip in self.skipped.listed[:_MAX_NAMED])
        more = ", ..." if len(self.skipped) > _MAX_NAMED else ""
        return f"{self.skipped}: {names}{more}" if names else str(self.skipped)

    @property
    def digest(self) -> str:
        """The sha256 of the names, which tells one choice of pictures from another."""
        return names_digest(self.name(number) for number in range(self.count))

    def read(self, numbers: range, *, batch_size: int, prepare: Prepare) -> Iterator[ReadBatch]:
        """Read pictures in their order, the next ones while a batch is used.

        Args:
            numbers: Which.
            batch_size: How many at a time.
            prepare: What becomes of each, (H, W, 3) RGB, 0 to 255.

        Raises:
            PictureError: A picture is gone since it was found, or too many in a row cannot be read.
        """
        failures = FailuresInARow(self.folder)
        for batch in self._read_ahead(numbers, batch_size, prepare):
            failures.add(batch.skipped, num_read=len(batch.numbers))
            yield batch

    def _read_ahead(self, numbers: range, batch_size: int, prepare: Prepare) -> Iterator[ReadBatch]:
        with ThreadPoolExecutor(_THREADS) as pool:
            waiting: deque[tuple[range, list[Future[NDArray[np.uint8] | Skip]]]] = deque()
            for start in range(0, len(numbers), batch_size):
                batch = numbers[start : start + batch_size]
                waiting.append((batch, [pool.submit(self._read, n, prepare) for n in batch]))
                if len(waiting) > _AHEAD:
                    yield _finished(*waiting.popleft())
            while waiting:
                yield _finished(*waiting.popleft())

    def _read(self, number: int, prepare: Prepare) -> NDArray[np.uint8] | Skip:
        image = read_found(self.folder, self.name(number), min_side=_MIN_SIDE)
        return image if isinstance(image, Skip) else prepare(image)


def _finished(numbers: range, reading: list[Future[NDArray[np.uint8] | Skip]]) -> ReadBatch:
    results = [future.result() for future in reading]
    whole = [
        (number, image)
        for number, image in zip(numbers, results, strict=True)
        if not isinstance(image, Skip)
    ]
    return ReadBatch(
        items=len(numbers),
        numbers=tuple(number for number, _ in whole),
        images=tuple(image for _, image in whole),
        skipped=tuple(result for result in results if isinstance(result, Skip)),
    )
