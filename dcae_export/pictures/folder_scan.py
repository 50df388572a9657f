"""Find the pictures of a folder that can be used, by their names and headers."""

import functools
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

from dcae_export.errors import PictureError
from dcae_export.pictures.file_names import FileNames
from dcae_export.pictures.picture_file import MAX_BYTES, SUFFIXES
from dcae_export.pictures.picture_header import read_size
from dcae_export.pictures.skipped import Skip, Skipped, SkipReason, size_problem

# A picture's size stands here unless longer metadata precede it; then the whole file is read.
_START_BYTES: Final = 2**16
# Threads hide the latency of disks and networks; where files are in memory already they neither help nor hurt.
_THREADS: Final = 8
_BLOCK: Final = 1024
_SUFFIXES: Final = tuple(suffix.encode() for suffix in SUFFIXES)


def picture_names(folder: Path) -> tuple[FileNames, Skipped]:
    """Find the PNG, JPEG and WebP files of a folder and its subfolders, none of which is opened.

    They are known by their suffix, in any case; names that begin with a dot are passed over. Of each folder the
    pictures come first, by name, then those of its subfolders, by name. A link to a file is followed. A link to a
    folder is not, as it may lead back into the folder, and is listed as skipped.

    Returns:
        The names, relative to the folder, and the folders that were not entered.

    Raises:
        PictureError: The folder cannot be read.
    """
    skipped = Skipped()
    return FileNames(_walk(folder, skipped)), skipped


def scan(
    folder: Path, *, min_side: int, on_progress: Callable[[int, int], None] | None = None
) -> tuple[FileNames, Skipped]:
    """Find the pictures of a folder and its subfolders that can be used, in the order of ``picture_names``.

    Headers only are read: a picture that is damaged further on is found when it is decoded.

    Args:
        folder: The folder, or a link to it.
        min_side: The shortest side in pixels that a picture may have.
        on_progress: Called with the numbers of examined and of all pictures.

    Returns:
        The names, relative to the folder, of what can be used, and what was skipped.

    Raises:
        PictureError: The folder cannot be read, or holds no picture that can be used.
    """
    found, skipped = picture_names(folder)
    usable = FileNames(
        _usable(folder, found, min_side=min_side, skipped=skipped, on_progress=on_progress)
    )
    if not len(usable):
        raise _nothing_usable(folder, skipped)
    return usable, skipped


def _walk(folder: Path, skipped: Skipped) -> Iterator[bytes]:
    root = os.fsencode(folder)
    inside_first = [b""]
    while inside_first:
        inside = inside_first.pop()
        try:
            files, folders = _entries(root, inside, skipped)
        except OSError as error:
            if not inside:
                raise PictureError(
                    f"{folder}: cannot be read: {error.strerror}; give a folder of pictures"
                ) from error
            skipped.add([Skip.of(os.fsdecode(inside), SkipReason.UNREADABLE, error.strerror)])
            continue
        yield from files
        inside_first += reversed(folders)


def _entries(root: bytes, inside: bytes, skipped: Skipped) -> tuple[list[bytes], list[bytes]]:
    """The pictures and the subfolders of one folder, sorted, relative to the root."""
    files: list[bytes] = []
    folders: list[bytes] = []
    with os.scandir(root + b"/" + inside if inside else root) as entries:
        for entry in entries:
            name = inside + b"/" + entry.name if inside else entry.name
            if entry.name.startswith(b"."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif entry.is_dir():
                detail = "a link to a folder, which is not followed; give that folder itself"
                skipped.add([Skip.of(os.fsdecode(name), SkipReason.UNREADABLE, detail)])
            elif entry.name.lower().endswith(_SUFFIXES):
                files.append(name)
    return sorted(files), sorted(folders)


def _usable(
    folder: Path,
    found: FileNames,
    *,
    min_side: int,
    skipped: Skipped,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[bytes]:
    examine = functools.partial(_examine, folder, min_side=min_side)
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(found), _BLOCK):
            names = [found[at] for at in range(start, min(start + _BLOCK, len(found)))]
            for name, problem in zip(names, pool.map(examine, names), strict=True):
                if problem is None:
                    yield os.fsencode(name)
                else:
                    skipped.add([problem])
            if on_progress is not None:
                on_progress(start + len(names), len(found))


def _examine(folder: Path, name: str, *, min_side: int) -> Skip | None:
    path = folder / name
    try:
        status = path.stat()
        # A pipe or device would block or never end, so this is asked before opening.
        if not stat.S_ISREG(status.st_mode):
            return Skip.of(name, SkipReason.UNREADABLE, "not a regular file")
        if status.st_size > MAX_BYTES:
            detail = f"{status.st_size} bytes, at most {MAX_BYTES} are read"
            return Skip.of(name, SkipReason.TOO_LARGE, detail)
        with path.open("rb") as file:
            size = _size(file, status.st_size)
    except OSError as error:
        return Skip.of(name, SkipReason.UNREADABLE, error.strerror)
    except PictureError as error:
        return Skip.of(name, SkipReason.UNREADABLE, error)
    return size_problem(name, size, min_side=min_side)


def _size(file: BinaryIO, num_bytes: int) -> tuple[int, int]:
    start = file.read(min(_START_BYTES, num_bytes))
    try:
        return read_size(start)
    except PictureError:
        if len(start) == num_bytes:
            raise
        return read_size(start + file.read(num_bytes - len(start)))


def _nothing_usable(folder: Path, skipped: Skipped) -> PictureError:
    if not len(skipped):
        return PictureError(f"{folder}: holds no file that ends in {', '.join(SUFFIXES)}")
    first = skipped.listed[0]
    return PictureError(
        f"{folder}: none of its pictures can be used ({skipped}); the first, {first.name}: "
        f"{first.detail}; give larger or whole pictures, or take a smaller size"
    )
