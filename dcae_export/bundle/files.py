"""Open a file inside a folder without ever following a link out of it."""

import io
import os
import stat
from pathlib import Path

from dcae_export.errors import BundleError, RefusedError
from dcae_export.files.link import is_link

# O_NONBLOCK: a file that became a pipe after it was looked at must not hang the reader.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


def regular_file_status(root: Path, name: str) -> os.stat_result:
    """Look at the file ``name`` below ``root`` without opening it.

    Raises:
        BundleError: It is not there.
        RefusedError: It or a folder on the way is a link, or it is no regular file.
    """
    parts = name.split("/")
    status = _status(root, name, parts[0])
    for depth in range(2, len(parts) + 1):
        if not stat.S_ISDIR(status.st_mode):
            raise BundleError(f"{name}: missing; the bundle is incomplete, copy it again")
        status = _status(root, name, "/".join(parts[:depth]))
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(f"{name}: not a regular file; a bundle holds nothing else")
    return status


def _status(root: Path, name: str, component: str) -> os.stat_result:
    try:
        status = (root / component).lstat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(f"{name}: missing; the bundle is incomplete, copy it again") from error
    except OSError as error:
        raise BundleError(f"{name}: cannot be read ({error.strerror})") from error
    if is_link(status):
        raise RefusedError(
            f"{name}: {component} is a link; copy the bundle into a plain folder, links resolved"
        )
    return status


def open_inside(root: Path, name: str) -> io.BufferedReader:
    """Open the regular file ``name`` below ``root`` for reading.

    Raises:
        BundleError: It is not there or cannot be read.
        RefusedError: It or a folder on the way is a link, or it is no regular file.
    """
    seen = regular_file_status(root, name)
    try:
        descriptor = os.open(root / name, _OPEN_FLAGS)
    except OSError as error:
        raise BundleError(f"{name}: cannot be read ({error.strerror})") from error
    file = os.fdopen(descriptor, "rb")
    # A folder on the way may have become a link since it was looked at. Windows numbers files too loosely.
    if os.name == "posix" and not os.path.samestat(seen, os.fstat(descriptor)):
        file.close()
        raise RefusedError(f"{name}: replaced by another file while it was opened")
    return file
