"""Know before the work whether the memory is there, and give back what nobody holds."""

import contextlib
import ctypes
from collections.abc import Generator

import psutil

from dcae_export.errors import ResourceError

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h


def available_memory(*, limit: int | None = None) -> int:
    """The bytes that this machine has left, or ``limit`` where that is less."""
    available = psutil.virtual_memory().available
    return available if limit is None else min(limit, available)


def require_memory(needed: int, *, what: str, limit: int | None = None) -> None:
    """Check that ``needed`` bytes are available, and no more than ``limit`` are needed.

    Raises:
        ResourceError: They are not; the message holds both figures.
    """
    available = available_memory(limit=limit)
    if needed > available:
        remedy = "raise it" if available == limit else "close other programs"
        raise ResourceError(
            f"{what} needs {memory_text(needed)} of memory, {there_text(available, limit=limit)}; "
            f"{remedy} or choose a smaller size"
        )


def there_text(available: int, *, limit: int | None) -> str:
    """What ``available_memory`` gave, in words that tell a limit from a machine's own bound."""
    return (
        f"the limit is {memory_text(available)}"
        if available == limit
        else f"{memory_text(available)} are there"
    )


def memory_text(size: int) -> str:
    """A number of bytes of memory as a person reads it: in GiB, or in MiB below one."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


@contextlib.contextmanager
def freed_blocks_returned() -> Generator[None]:
    """Let blocks over 1 MiB that are freed inside go back to the operating system at once (glibc).

    Its bound for that grows with what is freed, up to 32 MiB; there it is left, for runs that allocate and free.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    # Windows has no library None, other C libraries have no such function.
    except (AttributeError, OSError, TypeError):
        yield
        return
    set_option(_MMAP_THRESHOLD, 2**20)
    try:
        yield
    finally:
        set_option(_MMAP_THRESHOLD, 32 * 2**20)
        return_free_memory()


def return_free_memory() -> None:
    """Give freed heap back to the operating system, where the C library has a call for it (glibc)."""
    # Windows has no library None, other C libraries have no such function.
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
