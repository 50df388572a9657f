"""What every test starts from: no network, and nothing of the user's own settings or caches.

In this process pytest-socket blocks every address but this machine's; child processes find no hub either.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

_OF_THE_USER = ("DCAE_", "HF_", "HUGGING_FACE_")
_NOBODY_LISTENS = "http://127.0.0.1:9"

# Before any import: huggingface_hub reads its variables once.
for name in [name for name in os.environ if name.startswith(_OF_THE_USER)]:
    del os.environ[name]
os.environ["HF_ENDPOINT"] = _NOBODY_LISTENS
# Two processes with a thread for each core would wait for each other. torch reads it once, too.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An empty cache folder for each test, made only where something is put into it."""
    cache = tmp_path_factory.getbasetemp() / f"cache-{os.urandom(4).hex()}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture
def spacious_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for gigabytes, which pytest would keep after the test."""
    folder = tmp_path / "spacious"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)
