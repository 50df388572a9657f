import click
import pytest

from dcae_export import __version__
from dcae_export.cli import program, provider_choice, runtime_options
from dcae_export.cli.commands import parity
from dcae_export.evaluation.parity_matrix import Runtime
from dcae_export.models.key_map import Layout
from dcae_export.pictures.picture_file import Alpha
from dcae_export.runtime.fit import Fit


def every_command() -> list[list[str]]:
    context = click.Context(program.dcae)
    names = program.dcae.list_commands(context)
    inside = [["weights", "convert"], ["train", "autoencoder"], ["train", "diffusion"]]
    inside += [["recipes", "list"], ["recipes", "copy"]]
    evaluations = ("reconstruction", "statistics", "generation", "clip")
    inside += [["evaluate", kind] for kind in evaluations]
    return [[name] for name in names] + inside


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
    context = click.Context(program.dcae)
    listed = dcae("--help").out
    for name in program.dcae.list_commands(context):
        command = program.dcae.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert name in listed
        first_line = (command.help or "").splitlines()[0]
        assert first_line.split(" ")[0] in listed


@pytest.mark.parametrize(
    "words", [[], ["train"], ["evaluate"], ["recipes"], ["weights"], ["engine"]]
)
def test_without_arguments_a_group_shows_its_help(dcae, words):
    assert dcae(*words) == dcae(*words, "--help")
    assert dcae(*words).status == 0


def test_an_option_without_a_command_is_a_usage_error(dcae):
    result = dcae("-v", "recipes", "-v")
    assert result.status == 2
    assert "Missing command; see dcae recipes --help" in result.err


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


# These stand as text where help is made, because the modules they come from load NumPy, OpenCV or PyTorch.
def test_the_choices_are_those_of_the_code():
    assert {*provider_choice.PROVIDERS, *parity.OTHERS} == {runtime.value for runtime in Runtime}
    assert {layout.value for layout in Layout} == {"official", "diffusers"}
    assert [alpha.value for alpha in Alpha] == list(runtime_options.BACKGROUNDS)
    assert [fit.value for fit in Fit] == list(runtime_options.FITS)
