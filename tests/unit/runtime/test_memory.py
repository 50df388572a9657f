"""Memory is asked for before the work, and given back after loading."""

import ctypes

import pytest

from dcae_export.errors import ResourceError
from dcae_export.runtime.memory import freed_blocks_returned, require_memory, return_free_memory


def test_more_than_there_is_names_both_figures():
    with pytest.raises(
        ResourceError, match=r"^this needs 1048576\.0 GiB of memory, [0-9.]+ [GM]iB are there"
    ):
        require_memory(2**50, what="this")


def test_what_there_is_may_be_used():
    require_memory(1, what="this")


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_a_c_library_without_the_call_is_no_error(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    return_free_memory()
    with freed_blocks_returned():
        pass


def test_a_limit_is_told_apart_from_what_the_machine_has():
    with pytest.raises(
        ResourceError, match=r"^this needs 2\.0 MiB of memory, the limit is 1\.0 MiB; raise it or"
    ):
        require_memory(2**21, what="this", limit=2**20)
