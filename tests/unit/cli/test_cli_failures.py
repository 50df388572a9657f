import os
import signal
import sys

import click
import pytest

from dcae_export import errors
from dcae_export.cli.command import command_with
from dcae_export.cli.failures import run
from dcae_export.extras import install_command

STATUSES = {
    errors.UsageError: 2,
    errors.InputError: 3,
    errors.ConfigError: 3,
    errors.WeightsError: 3,
    errors.BundleError: 3,
    errors.PictureError: 3,
    errors.HubError: 3,
    errors.RefusedError: 4,
    errors.ProviderError: 5,
    errors.ResourceError: 6,
    errors.ParityError: 7,
    errors.ExportError: 7,
    errors.TrainingError: 7,
    errors.BusyError: 8,
    errors.CancelledError: 130,
}


def failing(error):
    @command_with(name="fail", examples=())
    def command():
        raise error

    return command


def test_every_error_has_a_status_here():
    subclasses = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.DcaeError)
    }
    assert set(STATUSES) == subclasses - {errors.DcaeError}


@pytest.mark.parametrize(("kind", "status"), STATUSES.items())
def test_an_error_is_one_line_and_its_status(capsys, kind, status):
    assert (
        run(failing(kind("photo.jpg: is gone; look for it")), prog_name="dcae", args=[]) == status
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "dcae: error: photo.jpg: is gone; look for it\n"


def test_verbose_shows_the_traceback(capsys):
    status = run(failing(errors.InputError("gone")), prog_name="dcae", args=["-v"])
    assert status == 3
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("dcae: error: gone\n")


def test_any_other_exception_is_a_fault_of_ours_and_says_where_to_report_it(capsys):
    assert run(failing(ZeroDivisionError("by\nzero")), prog_name="dcae", args=[]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("dcae: error: a fault of dcae-export: ZeroDivisionError: by zero; ")
    assert "issue tracker" in err


def test_a_full_memory_is_a_resource_error(capsys):
    assert run(failing(MemoryError()), prog_name="dcae", args=[]) == 6
    assert "memory" in capsys.readouterr().err


def test_an_interrupt_ends_with_the_shells_status(capsys):
    assert run(failing(KeyboardInterrupt()), prog_name="dcae", args=[]) == 130
    assert capsys.readouterr().err.strip() == "dcae: interrupted"


def test_a_termination_is_an_interrupt(capsys):
    @command_with(name="wait", examples=())
    def command():
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    assert run(command, prog_name="dcae", args=[]) == 130
    assert capsys.readouterr().err.strip() == "dcae: interrupted"
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("name", "extra", "status"),
    [("torch.nn", "export", 2), ("diffusers", "export", 2), ("onnxruntime", "cpu", 5)],
)
def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it(
    name, extra, status, capsys
):
    missing = ModuleNotFoundError("No module of that name", name=name)
    assert run(failing(missing), prog_name="dcae", args=[]) == status
    message = f"error: {name} is not installed; {install_command(extra)}\n"
    assert capsys.readouterr().err.endswith(message)


def test_a_missing_module_of_our_own_is_a_fault_of_ours():
    missing = ModuleNotFoundError("No module named 'dcae_export.x'", name="dcae_export.x")
    assert run(failing(missing), prog_name="dcae", args=[]) == 1


def test_names_of_files_cannot_forge_lines_or_colours(capsys):
    run(failing(errors.InputError("a\x1b[31m\nb: gone")), prog_name="dcae", args=[])
    assert capsys.readouterr().err == "dcae: error: a\\x1b[31m b: gone\n"


def test_a_wrong_option_is_one_line_that_names_the_help(capsys):
    assert run(failing(None), prog_name="dcae-fail", args=["--nonsense"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--nonsense" in err
    assert "see dcae-fail --help" in err


def test_a_command_that_ends_itself_keeps_its_status():
    @click.command()
    @click.pass_context
    def command(context):
        context.exit(7)

    assert run(command, prog_name="dcae", args=[]) == 7


def test_a_reader_that_leaves_is_no_error(monkeypatch, tmp_path):
    with (tmp_path / "pipe").open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert run(failing(BrokenPipeError()), prog_name="dcae", args=[]) == 1
        stdout.write("swallowed")
        stdout.flush()
    assert (tmp_path / "pipe").read_text() == ""
