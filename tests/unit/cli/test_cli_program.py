import click
import pytest

from dcae_export import __version__
from dcae_export.cli import program, provider_choice, runtime_options
from dcae_export.cli.command import Command, Group
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


def command_of(words: list[str]) -> click.Command:
    command: click.Command | None = program.dcae
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    return command


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_every_command_is_of_the_kind_that_refuses_repetition(words):
    assert isinstance(command_of(words), Command | Group)


@pytest.mark.parametrize(
    ("words", "line", "option"),
    [
        ("generate", "b --sampler ddim:4 --sampler ddim:5", "--sampler"),
        ("generate", "b --seed 1 --label 1 --seed=1 --label 2", "--seed"),
        ("generate", "b --tf32 --no-tf32", "--tf32"),
        ("export", "-v --out a --variant f32 --out b", "--out"),
        ("train autoencoder", "r --out a --steps 1 --steps 2", "--steps"),
        ("evaluate clip", "d --clip a --clip b", "--clip"),
    ],
)
def test_an_option_of_one_value_that_is_given_twice_is_refused_by_name(dcae, words, line, option):
    result = dcae(*words.split(), *line.split())
    assert result.status == 2
    assert result.err.splitlines()[-1] == (
        f"dcae: error: Option '{option}' is given more than once; see dcae {words} --help"
    )


def test_flags_and_options_of_several_values_may_be_repeated(dcae):
    line = "verify -v -v no-such-bundle --json --json"
    assert dcae(*line.split()).status == 3
    line = "parity no-such-bundle --provider cpu --provider cuda"
    assert dcae(*line.split()).status == 3


def test_help_is_shown_whatever_else_was_said(dcae):
    assert dcae("generate", "--seed", "1", "--seed", "2", "--help").status == 0


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
