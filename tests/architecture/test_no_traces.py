"""Nothing in the project names the machine or the services that it was made with."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("dcae_export", "tests", "docs", "benchmarks", "recipes", "runtimes", "typings", ".ci")
KINDS = {".py", ".pyi", ".md", ".toml", ".txt", ".yaml", ".json", ".in", ".cfg", ""}
KINDS |= {".c", ".cpp", ".h", ".hpp", ".cmake", ".sh"}
# What a build leaves.
MADE = {"__pycache__", "build"}

# A reader may be sent to what the text is about: the paper, its code, its weights, a standard.
KNOWN_HOSTS = {
    "127.0.0.1",
    "json-schema.org",
    "keepachangelog.com",
    "www.apache.org",
}
_URL = re.compile(r"https?://([A-Za-z0-9.-]*[A-Za-z0-9])")
_PLACE_OF_A_USER = re.compile(r"(?<![\w.*])/(?:root|home|Users|work|opt)/\w")


def texts() -> list[Path]:
    """The project's text files."""
    inside = [path for place in PLACES for path in (ROOT / place).rglob("*")]
    return sorted(
        path
        for path in [*ROOT.iterdir(), *inside]
        if path.is_file() and path.suffix in KINDS and not MADE & set(path.relative_to(ROOT).parts)
    )


def test_the_search_sees_the_project():
    names = {path.relative_to(ROOT).as_posix() for path in texts()}
    assert {"README.md", "Makefile", "pyproject.toml", ".ci/run", "tests/conftest.py"} <= names


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_names_no_foreign_host_and_no_users_folder(path):
    text = path.read_text(encoding="utf-8")
    hosts = set(_URL.findall(text)) - KNOWN_HOSTS
    reserved = {host for host in hosts if host.endswith((".invalid", ".example", "example.com"))}
    assert hosts == reserved
    assert not _PLACE_OF_A_USER.findall(text)
