"""Work in a process that is gone between two of its file-system steps, as after a kill."""

import os
import sys
from collections.abc import Callable

import pytest

_DEATH = 9
# Files are opened, renamed and removed under these names; a swap of two folders is a function of the C library.
_STEPS = ("os.", "shutil.", "ctypes.dlsym")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="counts steps in a forked process")


def dies_before(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a forked process that dies before its file-system step ``step``, counted from 1.

    Returns:
        Whether it died: False is a process that came to the end of the work first.
    """
    process = os.fork()
    if process == 0:
        _die_at(step)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in {0, _DEATH}
    return code == _DEATH


def _die_at(step: int) -> None:
    steps = 0

    def count(event: str, _: tuple[object, ...]) -> None:
        nonlocal steps
        if event.startswith(_STEPS) or event == "open":
            steps += 1
            if steps == step:
                os._exit(_DEATH)

    sys.addaudithook(count)
