"""PyTorch's word that a process which reads data was killed, as an error of ours."""

from collections.abc import Generator
from contextlib import contextmanager

from dcae_export.errors import ResourceError


class WorkerKilledError(ResourceError):
    """A process that reads data was killed."""


@contextmanager
def told_of_killed_workers() -> Generator[None]:
    """Turn what DataLoader raises when one of its workers is gone.

    It is raised out of a signal's handler, so the main process may be anywhere, not only where it waits for data.

    Raises:
        WorkerKilledError: A worker was killed.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        raise WorkerKilledError(
            "a process that reads pictures was killed; use fewer workers or a smaller batch, or give "
            "this machine more memory (containers: more shared memory)"
        ) from error
