import click
import numpy as np
import pytest

from dcae_export import __version__
from dcae_export.cli import commands, export, parity, runtime_options
from dcae_export.cli.pictures import SUFFIXES, alpha_of, fit_of
from dcae_export.evaluation.parity_matrix import Runtime
from dcae_export.export.options import SimplifierName
from dcae_export.export.target import TargetName
from dcae_export.models.key_map import Layout
from dcae_export.runtime.image import Alpha, Fit, write_picture
from dcae_export.runtime.provider import Provider


def every_command() -> list[list[str]]:
    context = click.Context(commands.dcae)
    names = commands.dcae.list_commands(context)
    return [[name] for name in names] + [["weights", "convert"]]


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_every_help_ends_with_examples_of_the_command(dcae, words):
    result = dcae(*words, "--help")
    assert result.status == 0
    examples = result.out.partition("Examples:\n")[2].splitlines()
    assert examples
    assert any(example.startswith(f"  dcae {words[0]}") for example in examples)
    assert "--verbose" in result.out


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_every_help_fits_a_terminal(dcae, words):
    assert max(len(line) for line in dcae(*words, "--help").out.splitlines()) <= 90


def test_the_table_of_commands_says_what_their_help_says(dcae):
    context = click.Context(commands.dcae)
    listed = dcae("--help").out
    for name in commands.dcae.list_commands(context):
        command = commands.dcae.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert name in listed
        first_line = (command.help or "").splitlines()[0]
        assert first_line.split(" ")[0] in listed


def test_without_arguments_the_program_shows_its_help(dcae):
    assert dcae() == dcae("--help")


def test_the_version_is_the_packages(dcae):
    assert dcae("--version").out == f"dcae, version {__version__}\n"


def test_an_unknown_command_is_a_usage_error(dcae):
    result = dcae("reconstrcut")
    assert result.status == 2
    assert "reconstrcut" in result.err
    assert "see dcae --help" in result.err


def test_verbose_may_stand_before_the_command(dcae):
    result = dcae("-v", "verify", "no-such-bundle")
    assert result.status == 3
    assert "Traceback" in result.err


# The choices stand as text where help is made, so that help needs none of the modules they come from.
def test_the_choices_are_those_of_the_code():
    assert set(runtime_options.PROVIDERS) == {provider.value for provider in Provider}
    assert {*runtime_options.PROVIDERS, *parity.OTHERS} == {runtime.value for runtime in Runtime}
    assert TargetName.__args__ == export.TARGETS
    assert SimplifierName.__args__ == export.SIMPLIFIERS
    assert {layout.value for layout in Layout} == {"official", "diffusers"}
    assert {alpha_of(name) for name in runtime_options.BACKGROUNDS} == set(Alpha)
    assert {fit_of(name) for name in runtime_options.FITS} == set(Fit)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_that_is_let_through_can_be_written(tmp_path, suffix):
    write_picture(tmp_path / f"a{suffix}", np.zeros((16, 16, 3), np.uint8))
    assert (tmp_path / f"a{suffix}").stat().st_size > 0
