"""The documents keep up with the code: links, commands, names of tests, tables."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from dcae_export import errors
from dcae_export.bundle.graph_file import ALLOWED_OPERATORS
from dcae_export.bundle.manifest import Manifest
from dcae_export.cli.program import dcae
from dcae_export.models.presets import PRESETS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:dcae|dcae-export|make) [^`]+)`")
_TEST = re.compile(r"`(test_\w+)`")
_TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)

of_every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def command_lines(document: Path) -> list[str]:
    """The lines of a document that call one of our programs, without comments."""
    text = document.read_text(encoding="utf-8")
    blocks = [body for language, body in _BLOCK.findall(text) if language in ("", "bash", "sh")]
    lines = [
        part.strip() for body in blocks for line in body.splitlines() for part in line.split(";")
    ]
    lines += _INLINE.findall(re.sub(_BLOCK, "", text))
    programs = ("dcae", "dcae-export", "make")
    return [line for line in lines if line.split(" ")[0] in programs]


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and the words that are left for it."""
    command: click.Command = dcae
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"no command {words[0]}"
        command, words = found, words[1:]
    return command, words


def check_call(words: list[str]) -> None:
    """Fail where a command line names a command or an option that is not there."""
    program, *rest = words
    if program == "make":
        folder = ROOT
        if rest[:1] == ["-C"]:
            folder, rest = ROOT / rest[1], rest[2:]
        known = set(_TARGET.findall((folder / "Makefile").read_text(encoding="utf-8")))
        assert {word for word in rest if "=" not in word} <= known
        return
    command, rest = find_command(["export", *rest] if program == "dcae-export" else rest)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    used = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert used <= known | {"--help", "--version"}


@of_every_document
def test_every_link_leads_somewhere(document):
    for link in _LINK.findall(document.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@of_every_document
def test_every_command_line_names_commands_and_options_that_exist(document):
    for line in command_lines(document):
        check_call(shlex.split(line, comments=True))


def test_the_readme_shows_command_lines_of_every_program():
    programs = {line.split(" ")[0] for line in command_lines(ROOT / "README.md")}
    assert programs == {"dcae", "dcae-export", "make"}


@pytest.mark.parametrize("line", ["make nothing", "dcae nothing", "dcae verify --nothing B"])
def test_a_command_line_that_does_not_exist_would_be_found(line):
    with pytest.raises(AssertionError):
        check_call(line.split(" "))


@of_every_document
def test_the_python_examples_are_python(document):
    for language, body in _BLOCK.findall(document.read_text(encoding="utf-8")):
        if language == "python":
            compile(body, str(document), "exec")
        elif language == "yaml":
            assert yaml.safe_load(body)


@of_every_document
def test_every_test_that_is_named_exists(document):
    sources = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    for name in _TEST.findall(document.read_text(encoding="utf-8")):
        assert f"def {name}(" in sources, name


@pytest.mark.parametrize("name", ["README.md", "docs/promises.md"])
def test_the_table_of_exit_statuses_is_that_of_the_errors(name):
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", (ROOT / name).read_text(), re.MULTILINE)
    stated = {
        error: int(status) for status, cell in rows for error in re.findall(r"`(\w+Error)`", cell)
    }
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert stated == {
        kind.__name__: kind.exit_status for kind in classes if kind is not errors.DcaeError
    }


def test_the_readme_lists_every_published_autoencoder():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in PRESETS if f"`{name}`" not in text] == []


def test_the_architecture_names_every_module():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "dcae_export"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("[!_]*.py")}
    # A row for the folder stands for what it holds.
    alone = {name for name in modules if not name.startswith(("cli/", "export/passes/"))}
    assert sorted(name for name in alone if f"`{name}`" not in text) == []
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text))
    assert sorted(named - modules) == []


def test_the_format_describes_every_key_of_the_manifest():
    text = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    schema = Manifest.model_json_schema()
    keys = {
        key for part in (schema, *schema["$defs"].values()) for key in part.get("properties", {})
    }
    assert sorted(key for key in keys if f"`{key}`" not in text) == []


def test_the_format_lists_the_operators_that_the_reader_accepts():
    text = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^```operators\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert set(listed.split()) == ALLOWED_OPERATORS
