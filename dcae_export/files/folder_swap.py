"""Put a new folder in an old one's place, so that a kill leaves one of them whole."""

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# What kernels, file systems and containers answer that do not know the exchange.
_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}


def previous_path(target: Path) -> Path:
    """Where the old folder stands between the two renames of a system without exchange."""
    return target.with_name(f".{target.name}.previous")


def put_in_place(staging: Path, target: Path) -> None:
    """Make ``staging`` the ``target``; what stood there before stands at ``staging`` afterwards.

    Raises:
        OSError: The system refused; ``target`` is what it was.
    """
    if not os.path.lexists(target):
        staging.rename(target)
    elif not _exchange(staging, target):
        _rename_twice(staging, target)
    sync_folder(target.parent)


def recover(target: Path, discard: Path) -> None:
    """Finish what a process killed between two renames began.

    The old folder goes back where no new one took its place, and else to ``discard``. Only the holder of the
    target's lock may call it.
    """
    previous = previous_path(target)
    if previous.is_symlink() or not previous.is_dir():
        return
    previous.rename(discard if os.path.lexists(target) else target)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    # Windows does not open folders, and writes names through.
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step; False where this system cannot."""
    library = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    renameat2 = getattr(library, "renameat2", None)
    if renameat2 is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(second))


def _rename_twice(staging: Path, target: Path) -> None:
    previous = previous_path(target)
    target.rename(previous)
    try:
        staging.rename(target)
    except OSError:
        previous.rename(target)
        raise
    # Away from the name that recovery puts back: from here on the old folder is rubbish.
    previous.rename(staging)
