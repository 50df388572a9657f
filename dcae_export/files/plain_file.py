"""A file that lies in a folder itself: what a stranger's folder is read through."""

import stat
from pathlib import Path

from dcae_export.errors import InputError, RefusedError
from dcae_export.files.link import is_link


def plain_file(folder: Path, name: str) -> Path:
    """The path of a file in a folder, looked at and not opened.

    Raises:
        InputError: It is not there.
        RefusedError: It is a link, which may lead anywhere, or a pipe or device, which may never end.
    """
    path = folder / name
    try:
        status = path.lstat()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; copy the whole folder again"
        ) from error
    if is_link(status) or not stat.S_ISREG(status.st_mode):
        raise RefusedError(f"{path}: no plain file; copy the folder, links resolved")
    return path
