"""The file of a benchmark's results, whole at any time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from benchmarks.machine import describe_machine, describe_versions, source_digest
from dcae_export.errors import UsageError

# What must agree before a measurement joins earlier ones.
SETTING = ("benchmark", "machine", "versions")


def read_document(path: Path) -> dict[str, dict[str, object]]:
    """What a results file holds.

    Raises:
        UsageError: It is no JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: is no results file: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: is no results file")
    return document


class Results:
    """Cells by section and key; each is on disk as soon as it is there."""

    def __init__(self, path: Path, document: dict[str, dict[str, object]], *, again: bool) -> None:
        self._path = path
        self._document = document
        self._again = again

    @classmethod
    def open(
        cls,
        path: Path,
        benchmark: str,
        *,
        again: bool,
        device: Mapping[str, object] | None = None,
    ) -> Self:
        """Continue the results at ``path``, or begin new ones.

        Args:
            path: The JSON file.
            benchmark: The benchmark's name.
            again: Measure what is there already; results of another machine or version are dropped.
            device: What the machine has beside its processor.

        Raises:
            UsageError: The file holds results of another benchmark, machine or version.
        """
        fresh = {
            "benchmark": benchmark,
            "machine": {**describe_machine(), **(device or {})},
            "versions": describe_versions(),
        }
        if not path.exists():
            return cls(path, fresh, again=again)
        document = read_document(path)
        differing = [name for name in SETTING if document.get(name) != fresh[name]]
        if not differing:
            return cls(path, document, again=again)
        if not again:
            raise UsageError(
                f"{path}: another {' and '.join(differing)}; choose another --out, or --again to begin anew"
            )
        return cls(path, fresh, again=again)

    @property
    def document(self) -> dict[str, dict[str, object]]:
        """All of it, as it stands in the file."""
        return self._document

    def rest_on(self, section: str, key: str, cell: dict[str, object], *, named: str) -> None:
        """Add a cell that all others depend on, or begin anew where that was asked for and another one is held.

        Args:
            section: Of the cell.
            key: Of the cell.
            cell: What the others depend on.
            named: What results that do not fit are of, as in ``"other pictures"``.

        Raises:
            UsageError: Another cell is held.
        """
        held = self._document.get(section, {}).get(key)
        # As JSON gives it back.
        if held is not None and held["cell"] == json.loads(json.dumps(cell)):
            return
        if held is not None and not self._again:
            raise UsageError(
                f"{self._path}: these results are of {named}; choose another --out, or --again to begin anew"
            )
        self._document = {name: self._document[name] for name in SETTING}
        self.put(section, key, cell)

    def held(self, section: str, key: str) -> dict[str, object]:
        """The cell that an earlier call has left; empty where there is none, or none is to be kept."""
        if self._again:
            return {}
        entry = self._document.get(section, {}).get(key)
        return {} if entry is None else entry["cell"]

    def wants(self, section: str, key: str) -> bool:
        """Whether a cell is to be measured; says so where an earlier one is kept."""
        cell = self._document.get(section, {}).get(key)
        if cell is None or self._again:
            return True
        other = (
            "" if cell["source"] == source_digest() else ", measured with other code of the package"
        )
        print(f"{section} {key}: kept{other}", flush=True)
        return False

    def put(self, section: str, key: str, cell: object) -> None:
        """Add a cell, or replace it, and write the file."""
        entry = {"source": source_digest(), "cell": cell}
        self._document.setdefault(section, {})[key] = entry
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f"{self._path.name}.partial")
        partial.write_text(json.dumps(self._document, indent=2) + "\n", encoding="utf-8")
        partial.replace(self._path)
        states = cell.keys() & {"not_run", "unfinished"} if isinstance(cell, Mapping) else ()
        state = "measured" if not states else min(states).replace("_", " ")
        print(f"{section} {key}: {state}", flush=True)
