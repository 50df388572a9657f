"""The program as a user runs it, in this process or in one of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from dcae_export.cli import program
from dcae_export.cli.failures import run

_WITHOUT_TORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "onnx", "onnx_ir", "onnxscript", "safetensors")))
from dcae_export.cli import main
main()
"""


class Result(NamedTuple):
    """What a run of the program gave."""

    status: int
    out: str
    err: str


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Result:
    """Run ``dcae`` with these arguments in this process."""
    status = run(program.dcae, prog_name="dcae", args=[str(part) for part in arguments])
    return Result(status, *capsys.readouterr())


def dcae(
    *arguments: str | Path, status: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``dcae`` in a process of its own; it has to end with the status."""
    return _run("-m", "dcae_export", *arguments, status=status, environment=environment)


def dcae_without_torch(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """As ``dcae``, where nothing of PyTorch and ONNX can be imported."""
    return _run("-c", _WITHOUT_TORCH, *arguments, status=status, environment={})


def _run(
    *arguments: str | Path, status: int, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert result.returncode == status, result.stderr
    if status not in (0, 1):
        assert result.stderr.splitlines()[-1].startswith("dcae: error: ")
        assert "Traceback" not in result.stderr
    return result
