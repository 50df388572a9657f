"""The suite of runtimes/conformance, made once for all tests and workers."""

from pathlib import Path

import pytest
from filelock import FileLock

from runtimes.conformance.make import make_suite
from runtimes.conformance.suite import Suite


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """Four exports; a worker that comes second finds what the first has made."""
    # Each worker has a folder of its own below that of the whole run.
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    folder = shared / "conformance-suite"
    with FileLock(shared / "conformance-suite.lock"):
        suite = Suite(folder)
        if not suite.made_with.exists():
            folder.mkdir(exist_ok=True)
            make_suite(folder)
    return suite


@pytest.fixture(scope="session")
def suite_folder(suite: Suite) -> Path:
    """Where the suite is."""
    return suite.folder
