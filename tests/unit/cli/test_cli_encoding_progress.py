from types import SimpleNamespace

import pytest

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
