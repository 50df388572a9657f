import io
import time
from types import SimpleNamespace

import pytest

from dcae_export.cli import progress
from dcae_export.cli.progress import Progress


@pytest.fixture
def without_delay(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY_S", 0.0)


def wait_for(shown, stream):
    deadline = time.monotonic() + 5
    while shown not in stream.getvalue():
        assert time.monotonic() < deadline, stream.getvalue()
        time.sleep(0.01)


def test_what_is_quick_shows_nothing(terminal):
    with Progress("working", steps=3) as bar:
        bar.advance()
    assert terminal.getvalue() == ""


def test_what_takes_long_shows_the_stage_and_what_is_left(terminal, without_delay):
    with Progress("reconstructing", steps=4) as bar:
        wait_for("0/4", terminal)
        bar.advance()
        wait_for("1/4", terminal)
    assert "reconstructing" in terminal.getvalue()


def test_the_stage_may_change_before_and_after_the_line_appears(terminal, without_delay):
    with Progress("one") as line:
        wait_for("one", terminal)
        line.stage("[two]")
        wait_for("[two]", terminal)


def test_nothing_is_shown_where_stderr_is_no_terminal(monkeypatch, without_delay):
    stream = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    with Progress("working"):
        time.sleep(0.05)
    assert stream.getvalue() == ""


def test_an_error_passes_and_clears_the_line(terminal, without_delay):
    def fail():
        with Progress("working"):
            wait_for("working", terminal)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert terminal.getvalue().endswith("\x1b[2K")
