"""The command line answers at once: nothing heavy is imported for a help text."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {"numpy", "pydantic", "cv2", "torch", "onnx", "onnxruntime", "huggingface_hub", "yaml"}
CEILING_S = 0.3
ATTEMPTS = 5

_RUN = """
import json, sys
from dcae_export.cli import main
try:
    main()
except SystemExit as exit:
    print(json.dumps([exit.code or 0, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def packages_loaded_by(*arguments: str) -> set[str]:
    """The top-level packages that ``dcae ARGUMENTS`` loads; it has to succeed."""
    result = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments], capture_output=True, text=True, check=True
    )
    status, packages = json.loads(result.stderr.splitlines()[-1])
    assert status == 0
    assert result.stdout
    return set(packages)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ()])
def test_the_program_answers_without_heavy_imports(arguments):
    assert not packages_loaded_by(*arguments) & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        "export",
        "reconstruct",
        "generate",
        "parity",
        "train autoencoder",
        "train diffusion",
        "latents",
        "evaluate reconstruction",
    ],
)
def test_a_commands_help_needs_no_heavy_imports(command):
    assert not packages_loaded_by(*command.split(" "), "--help") & HEAVY


def test_recipes_are_listed_without_heavy_imports():
    assert not packages_loaded_by("recipes", "list") & HEAVY


def test_help_is_there_in_less_than_a_third_of_a_second():
    program = Path(sys.executable).with_name("dcae")
    best = min(_seconds(program) for _ in range(ATTEMPTS))
    assert best < CEILING_S


def _seconds(program: Path) -> float:
    started = time.perf_counter()
    subprocess.run([program, "--help"], capture_output=True, check=True)
    return time.perf_counter() - started
