"""CUDA in C++, as far as it is seen without a GPU: what ONNX Runtime is told, and that nothing runs elsewhere."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from cpp_runtime import ROOT, built, onnxruntime_headers, onnxruntime_library, run
from program import Result

from dcae_export.runtime import placement
from dcae_export.runtime.provider_options import CudaOptions
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration

LIMIT = 8_000_000_000
# Parts of a graph.
ALL = "100000"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of installed wheels: one of ONNX Runtime for CUDA, and beside it one of NVIDIA's libraries."""
    built("release")
    packages = tmp_path_factory.mktemp("cuda") / "site-packages"
    library = packages / "onnxruntime" / "capi" / "libonnxruntime.so.1"
    cudnn = packages / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    for path in (library, cudnn):
        path.parent.mkdir(parents=True)
    source = ROOT / "tests" / "cpp_fake_cuda"
    compiler = ("gcc", "-shared", "-fPIC", "-I", onnxruntime_headers())
    run(*compiler, source / "onnxruntime.c", "-o", library, "-ldl")
    run(*compiler, source / "cudnn.c", "-o", cudnn)
    return packages


def generate(suite: Suite, packages: Path, out: Path, **environment: str) -> Result:
    done = subprocess.run(
        [
            *(built("release"), "generate", suite.bundle("class"), "--sampler", "ddim:3"),
            *("--provider", "cuda", "--memory-limit", "8GB", "--out", out),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "DCAE_ONNXRUNTIME": str(packages / "onnxruntime" / "capi" / "libonnxruntime.so.1"),
            "REAL_ONNXRUNTIME": str(onnxruntime_library()),
            "CUDA_OPTIONS": str(packages / "options"),
        }
        | environment,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def test_cuda_is_given_the_options_of_python_and_nvidias_wheels(
    suite: Suite, packages: Path, tmp_path: Path
) -> None:
    result = generate(suite, packages, tmp_path / "a.png", ON_CUDA=ALL)
    assert result.status == 0, result.err
    assert (tmp_path / "a.png").is_file()
    lines = (packages / "options").read_text().splitlines()
    ((_, options),) = CudaOptions(memory_limit=LIMIT).onnxruntime_providers()
    assert dict(line.split("=") for line in lines) == options
    assert "nvidia/cudnn/lib/libcudnn.so.9 is loaded" in result.err


def test_what_cuda_leaves_to_the_cpu_is_an_error(
    suite: Suite, packages: Path, tmp_path: Path
) -> None:
    result = generate(suite, packages, tmp_path / "a.png", ON_CUDA="0")
    assert result.status == 5
    assert "cuda: transformer.onnx: ONNX Runtime gave it no node to run" in result.err
    result = generate(suite, packages, tmp_path / "a.png", ON_CUDA="1")
    assert result.status == 5
    assert "has no " in result.err
    assert "would run it on the CPU; export with another --precision or --target" in result.err
    assert not (tmp_path / "a.png").exists()


def test_a_library_that_does_not_tell_what_it_leaves_to_the_cpu_is_not_used_for_cuda(
    suite: Suite, packages: Path, tmp_path: Path
) -> None:
    result = generate(suite, packages, tmp_path / "a.png", ON_CUDA=ALL, VERSION="1.23.2")
    assert result.status == 5
    assert "ONNX Runtime 1.23.2" in result.err
    assert "name the library of version 1.24 or newer" in result.err


def test_tensorrt_is_python_alone() -> None:
    command = (built("release"), "parity", "bundle", "--provider", "tensorrt")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 5
    assert "tensorrt: only Python's dcae" in result.stderr
    assert "choose cuda" in result.stderr


def test_what_computes_is_the_same_in_python_and_cpp() -> None:
    source = (ROOT / "runtimes" / "cpp" / "src" / "placement.cpp").read_text()
    (names,) = re.findall(r"operators = \{(.*?)\};", source, re.DOTALL)
    assert set(re.findall(r'"(\w+)"', names)) == placement._COMPUTE
