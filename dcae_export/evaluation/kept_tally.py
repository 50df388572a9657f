"""A process's tally as a file, so that an interrupted evaluation goes on where it was."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

from dcae_export.errors import InputError
from dcae_export.evaluation.array_file import read_arrays, write_arrays
from dcae_export.evaluation.tally import Tally, array_text, text_array

_SETTINGS: Final = "settings"
# The file of a reconstruction is 67 MB: written more often, it would take a share of a fast machine's time.
INTERVAL_S = 30.0


class KeptTally:
    """The file of one process of one evaluation, told from others by its settings."""

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, str],
        *,
        restart: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name the file.

        Args:
            path: The file, which need not be there.
            settings: All that decides what is measured.
            restart: Whether what the file holds is left out of account, and replaced.
            clock: Seconds.
        """
        self._path = path
        self._settings = dict(settings)
        self._restart = restart
        self._clock = clock
        self._written_s = clock()

    def read(self) -> Tally:
        """What is there of this evaluation; an empty tally where nothing is.

        Raises:
            InputError: The file is damaged, or of an evaluation with other settings.
        """
        if self._restart or not self._path.exists():
            return Tally()
        arrays = read_arrays(self._path)
        try:
            self._require_same(json.loads(array_text(arrays.pop(_SETTINGS))))
            return Tally.from_arrays(arrays)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self._path}: does not hold how far an evaluation was; --restart begins anew"
            ) from error

    def keep(self, tally: Tally) -> None:
        """Write a tally where the last one was written some time ago.

        Raises:
            InputError: The file cannot be written.
            ResourceError: The disk is full.
        """
        if self._clock() - self._written_s >= INTERVAL_S:
            self.write(tally)

    def write(self, tally: Tally) -> None:
        """Write a tally in place of the last one, whole.

        Raises:
            InputError: The file cannot be written.
            ResourceError: The disk is full.
        """
        arrays = {_SETTINGS: text_array(json.dumps(self._settings)), **tally.to_arrays()}
        write_arrays(self._path, arrays, force=True)
        self._written_s = self._clock()

    def _require_same(self, stored: object) -> None:
        before = cast("dict[str, object]", stored)
        for name in {**before, **self._settings}:
            if before.get(name) != self._settings.get(name):
                raise InputError(
                    f"{self._path}: of another evaluation: {name} is {self._settings.get(name)!r}, and was "
                    f"{before.get(name)!r}; choose another --out, or begin anew with --restart"
                )
