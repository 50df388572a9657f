import click
import pytest

from recipes.demo.public_command import run_public


def test_a_command_is_shown_as_it_would_be_typed_and_run(capfd):
    cost = run_public("python", "-c", "print('a b')")
    shown, printed = capfd.readouterr().out.splitlines()
    assert (shown, printed) == ("""$ python -c 'print('"'"'a b'"'"')'""", "a b")
    assert cost.seconds > 0
    # An interpreter takes megabytes, and no gigabytes.
    assert 10**6 < cost.peak_bytes < 10**9


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
