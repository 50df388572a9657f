"""A tiny model that passes for the demo model."""

from pathlib import Path

import pytest
from demo_stand_in import pass_for_demo


@pytest.fixture
def demo_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the demo model would be shipped; nothing is there yet."""
    folder = tmp_path / "package" / "demo"
    pass_for_demo(monkeypatch, folder)
    return folder
