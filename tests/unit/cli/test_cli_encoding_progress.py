from types import SimpleNamespace

import pytest

from dcae_export.cli import encoding_progress as module
from dcae_export.cli.encoding_progress import EncodingProgress


class Clock:
    """A clock that stands until it is moved, in seconds."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def stages() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(stages: list[str], clock: Clock) -> EncodingProgress:
    return EncodingProgress(SimpleNamespace(stage=stages.append), clock=clock)


def test_the_time_that_is_left_is_that_of_this_processs_pace(
    progress: EncodingProgress, stages: list[str], clock: Clock
):
    progress(1000, 4000)
    clock.now_s += 50
    progress(1100, 4000)
    assert stages == [
        "encoding: 1000 of 4000 pictures",
        "encoding: 1100 of 4000 pictures, 0:24:10 left",
    ]


def test_where_nobody_watches_a_line_appears_twice_a_minute(
    progress: EncodingProgress, clock: Clock, capsys: pytest.CaptureFixture[str]
):
    for done in range(70):
        progress(done, 100)
        clock.now_s += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "dcae: encoding: 30 of 100 pictures, 0:01:10 left",
        "dcae: encoding: 60 of 100 pictures, 0:00:40 left",
    ]


def test_on_a_terminal_no_line_is_added(
    progress: EncodingProgress,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    terminal = SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(module, "sys", terminal)
    clock.now_s += 60
    progress(1, 2)
    assert capsys.readouterr().err == ""
