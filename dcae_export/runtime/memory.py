"""Know before the work whether the memory is there, and give back what nobody holds."""

import contextlib
import ctypes

import psutil

from dcae_export.errors import ResourceError


def available_memory(*, limit: int | None = None) -> int:
    """The bytes that this machine has left, or ``limit`` where that is less."""
    available = psutil.virtual_memory().available
    return available if limit is None else min(limit, available)


def require_memory(needed: int, *, what: str) -> None:
    """Check that ``needed`` bytes are available.

    Raises:
        ResourceError: They are not; the message holds both figures.
    """
    available = available_memory()
    if needed > available:
        raise ResourceError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} GiB are available; "
            "close other programs or choose a smaller size"
        )


def return_free_memory() -> None:
    """Give freed heap back to the operating system, where the C library has a call for it (glibc)."""
    # Windows has no library None, other C libraries have no such function.
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
