import time

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


def test_what_is_quick_prints_no_line_where_nobody_watches(capsys):
    with Progress("working"):
        pass
    assert capsys.readouterr().err == ""


def test_where_nobody_watches_a_line_is_printed_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_FIRST_LINE_S", 0.0)
    monkeypatch.setattr(progress, "_NEXT_LINE_S", 0.01)
    with Progress("tracing") as shown:
        printed = _until("dcae: tracing, 0:00:00 so far\n", capsys)
        shown.stage("comparing")
        printed += _until("dcae: comparing, 0:00:00 so far\n", capsys)
    assert "\r" not in printed
    assert "\x1b" not in printed


def _until(line, capsys):
    printed, deadline = "", time.monotonic() + 5
    while line not in printed:
        assert time.monotonic() < deadline, printed
        time.sleep(0.01)
        printed += capsys.readouterr().err
    return printed


def test_the_time_that_is_left_is_that_of_this_runs_pace():
    now_s = [100.0]
    shown = Progress("measuring", steps=100, clock=lambda: now_s[0])
    assert shown.line() == "measuring: 0 of 100, 0:00:00 so far"
    # Of an earlier run: they tell nothing of this one's pace.
    shown.advance(40)
    now_s[0] += 75
    shown.advance(15)
    assert shown.line() == "measuring: 55 of 100, 0:03:45 left, 0:01:15 so far"


def test_the_time_that_is_left_falls_while_a_step_runs_and_by_one_step_at_most():
    now_s = [0.0]
    shown = Progress("reconstructing", steps=4, clock=lambda: now_s[0])
    shown.advance(0)
    assert "left" not in shown.line()
    now_s[0] = 40
    shown.advance()
    assert ", 0:02:00 left, " in shown.line()
    now_s[0] = 70
    assert ", 0:01:30 left, " in shown.line()
    now_s[0] = 400
    assert ", 0:01:20 left, " in shown.line()


def test_a_terminal_shows_the_time_that_is_left_of_steps_however_long_they_take(
    terminal, without_delay
):
    now_s = [0.0]
    with Progress("reconstructing", steps=3, clock=lambda: now_s[0]) as bar:
        bar.advance(0)
        wait_for("0/3", terminal)
        now_s[0] = 100
        bar.advance()
        wait_for("0:03:20 left", terminal)


def test_what_follows_the_last_step_is_not_counted():
    shown = Progress("generating", steps=2)
    shown.advance(2)
    shown.stage("decoding")
    assert shown.line() == "decoding, 0:00:00 so far"


def test_an_error_passes_and_clears_the_line(terminal, without_delay):
    def fail():
        with Progress("working"):
            wait_for("working", terminal)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert terminal.getvalue().endswith("\x1b[2K")
