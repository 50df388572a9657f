"""Write a file whole or not at all."""

import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dcae_export.errors import InputError, ResourceError


@contextmanager
def whole_file(path: Path, *, force: bool) -> Generator[BinaryIO]:
    """Open a file that gets its name once its context is left without an error.

    Args:
        path: The target.
        force: Whether an existing file is replaced.

    Raises:
        InputError: The target exists and force is not given, or cannot be written.
        ResourceError: The disk is full.
    """
    temporary = path.with_name(f".dcae-{secrets.token_hex(8)}.tmp")
    try:
        require_free(path, force=force)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _publish(temporary, path, force=force)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(f"{message}; free some space or choose another disk") from error
        raise InputError(f"{message}; choose another target") from error


def check_target(path: Path, *, force: bool) -> None:
    """Check before the work that a file can get this name.

    Raises:
        InputError: Its folder does not exist, or it exists and force is not given.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first")
    require_free(path, force=force)


def require_free(path: Path, *, force: bool) -> None:
    """Check before the work that a target may be written.

    Raises:
        InputError: It exists and force is not given.
    """
    if not force and path.exists():
        raise _taken(path)


def _taken(path: Path) -> InputError:
    return InputError(f"{path}: exists; choose another name, or replace it with --force")


def _publish(temporary: Path, path: Path, *, force: bool) -> None:
    if force:
        temporary.replace(path)
        return
    try:
        # Unlike a rename, a link fails if the target has appeared meanwhile.
        path.hardlink_to(temporary)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError:
        # The file system has no hard links; what is left is to look, then rename.
        require_free(path, force=False)
        temporary.replace(path)
