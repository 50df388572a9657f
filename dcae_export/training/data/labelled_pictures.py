"""The pictures of a folder by number, with their class folders as labels."""

import os
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcae_export.class_name import class_name_problem
from dcae_export.errors import PictureError, UsageError
from dcae_export.pictures.file_names import FileNames, names_digest
from dcae_export.pictures.folder_scan import scan
from dcae_export.pictures.skipped import Skipped


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledPictures:
    """What a scan found: picture n is ``names[n]``, relative to ``folder``, of at least ``min_side`` pixels a side.

    ``classes`` are the names of the class folders, sorted, None where pictures have no labels.
    """

    folder: Path
    names: FileNames
    min_side: int
    classes: tuple[str, ...] | None
    skipped: Skipped

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.names)

    def label(self, number: int) -> int:
        """The class of a picture as its place in ``classes``, where there are any."""
        assert self.classes is not None
        return bisect_left(self.classes, _class_folder(self.names[number]))

    def digest(self) -> str:
        """The sha256 of the names in their order."""
        return names_digest(self.names)


def find_pictures(
    folder: Path,
    *,
    min_side: int,
    flat: bool,
    on_progress: Callable[[int, int], None] | None = None,
) -> LabelledPictures:
    """Scan a folder whose folders, where it has any, are classes.

    A class is a folder right inside ``folder``; its pictures may lie deeper. Classes are numbered in the order of
    their names, so that a picture that is added or cannot be read moves no label.

    Args:
        folder: The folder.
        min_side: The shortest side in pixels that a picture may have.
        flat: Whether the pictures get no labels, wherever they lie.
        on_progress: Called with the numbers of examined and of all pictures.

    Raises:
        UsageError: Some pictures lie in class folders and some beside them.
        PictureError: The folder cannot be read or holds no picture that can be used; or one of its class folders
            holds none, or has a name that no class can have.
    """
    names, skipped = scan(folder, min_side=min_side, on_progress=on_progress)
    return LabelledPictures(
        folder=folder,
        names=names,
        min_side=min_side,
        classes=None if flat else _classes(folder, names),
        skipped=skipped,
    )


def _classes(folder: Path, names: FileNames) -> tuple[str, ...] | None:
    # Of each folder a scan gives the pictures before those of its folders.
    first, last = names[0], names[len(names) - 1]
    if not _class_folder(last):
        return None
    if not _class_folder(first):
        raise UsageError(
            f"{folder}: {first} lies beside class folders such as {_class_folder(last)}; "
            "move it into one, or encode without labels by --flat"
        )
    with os.scandir(folder) as entries:
        folders = {
            entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")
        }
    for name in sorted(folders):
        problem = class_name_problem(name)
        if problem is not None:
            raise PictureError(f"{folder}: the class {name!r} {problem}; rename its folder")
    empty = sorted(folders - {_class_folder(name) for name in names})
    if empty:
        raise PictureError(
            f"{folder}: the class folder {empty[0]} holds no picture that can be used; "
            "take it away, or encode without labels by --flat"
        )
    return tuple(sorted(folders))


def _class_folder(name: str) -> str:
    """The folder right inside the scanned one that a picture lies in, "" for none."""
    return name.partition("/")[0] if "/" in name else ""
