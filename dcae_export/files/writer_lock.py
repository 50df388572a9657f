"""One writer of a target at a time."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dcae_export.errors import BusyError


@contextmanager
def writer_lock(target: Path, *, wait: bool = False) -> Generator[None]:
    """Be the one process that writes ``target``.

    The lock is a hidden, empty file beside the target, and stays there: to unlink it would leave a process that has
    opened it and waits with a lock on a file that has no name, while a third one makes and locks a new one.

    Raises:
        BusyError: Another one is, and ``wait`` is off.
    """
    lock = FileLock(target.with_name(f".{target.name}.lock"), thread_local=False)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        raise BusyError(
            f"{target}: another process is writing it; try later, or --wait for it"
        ) from error
    try:
        yield
    finally:
        lock.release()
