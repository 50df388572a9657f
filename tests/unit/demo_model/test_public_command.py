import subprocess
import sys

import click
import pytest

from recipes.demo.public_command import run_public


def test_a_command_is_shown_as_it_would_be_typed_and_run(capfd):
    cost = run_public("python", "-c", "print('a b')")
    shown, printed = capfd.readouterr().out.splitlines()
    assert (shown, printed) == ("""$ python -c 'print('"'"'a b'"'"')'""", "a b")
    assert cost.seconds > 0


def test_the_peak_is_that_of_the_command():
    # In a process of its own: Linux counts what a process had before it became the command, which is its parent's.
    program = "from recipes.demo.public_command import run_public as run; print(run('python', '-c', '').peak_bytes)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    # An interpreter takes megabytes, and no gigabytes.
    assert 10**6 < int(done.stdout.split()[-1]) < 10**9


def test_dcae_is_this_checkouts(capfd):
    run_public("dcae", "--version")
    assert "dcae, version" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("program", "status"),
    [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_status_of_a_failure_is_passed_on(program, status):
    with pytest.raises(click.exceptions.Exit) as raised:
        run_public("python", "-c", program)
    assert raised.value.exit_code == status
