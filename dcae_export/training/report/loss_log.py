"""The losses of a run as CSV: one row for each step, however often the run was killed and resumed."""

import csv
from pathlib import Path
from typing import TextIO

from dcae_export.errors import InputError
from dcae_export.files.whole_file import whole_file
from dcae_export.training.engine.events import StepDone

_STEP = "step"
_FIXED = (_STEP, "learning_rate", "samples_per_second", "skipped")


class LossLog:
    """A CSV file that steps are appended to; the columns after ``_FIXED`` are the losses by name.

    A run that resumes repeats the steps since its checkpoint: their rows go as the first step comes in. A loss
    that appears later gets a column then, empty in the rows above.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: tuple[str, ...] = ()
        self._file: TextIO | None = None

    def append(self, event: StepDone) -> None:
        """Add the row of a step, and hand it to the system, so that a kill of this process keeps it.

        Raises:
            InputError: The file cannot be written.
            ResourceError: The disk is full.
        """
        values = {
            _STEP: str(event.step),
            "learning_rate": f"{event.learning_rate:.6g}",
            "samples_per_second": f"{event.samples_per_second:.6g}",
            "skipped": str(event.skipped),
            **{name: f"{loss:.6g}" for name, loss in event.losses.items()},
        }
        if self._file is None or not set(values) <= set(self._columns):
            self._file = self._reopen(tuple(values), before=event.step)
        try:
            csv.writer(self._file, lineterminator="\n").writerow(
                values.get(column, "") for column in self._columns
            )
            self._file.flush()
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; a later ``append`` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _reopen(self, columns: tuple[str, ...], *, before: int) -> TextIO:
        self.close()
        kept, rows = _read(self._path)
        self._columns = tuple(dict.fromkeys((*_FIXED, *kept, *columns)))
        lines = [",".join(self._columns)]
        lines += [
            ",".join(row.get(column, "") for column in self._columns)
            for row in rows
            if int(row[_STEP]) < before
        ]
        with whole_file(self._path, force=True) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
        try:
            return self._path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror}") from error


def read_losses(path: Path) -> dict[str, list[tuple[int, float]]]:
    """The steps and values of each loss of a log; empty where there is no log.

    Raises:
        InputError: A value is no number.
    """
    columns, rows = _read(path)
    try:
        return {
            name: [(int(row[_STEP]), float(row[name])) for row in rows if row.get(name)]
            for name in columns
            if name not in _FIXED
        }
    except ValueError as error:
        raise InputError(f"{path}: no log of losses: {error}") from error


def _read(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The columns and the whole rows of a log."""
    if not path.exists():
        return (), []
    text = path.read_text(encoding="utf-8", errors="replace")
    # A kill may have left the last row without its end.
    whole = text[: text.rfind("\n") + 1]
    header, *rows = csv.reader(whole.splitlines()) if whole else [[]]
    named = [dict(zip(header, row, strict=False)) for row in rows]
    return tuple(header), [row for row in named if row.get(_STEP, "").isdecimal()]
