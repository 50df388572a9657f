"""CUDA in C++, as far as it is seen without a GPU: what ONNX Runtime is told, and that nothing runs elsewhere."""

import re
from pathlib import Path

import pytest
from cpp_on_nvidia import Machine
from cpp_runtime import ROOT
from program import Result

from dcae_export.runtime import placement
from dcae_export.runtime.provider_options import CudaOptions
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration

LIMIT = 8_000_000_000


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine.make(tmp_path_factory.mktemp("cuda"))


def generate(suite: Suite, machine: Machine, out: Path, **environment: str) -> Result:
    return machine.run(
        *("generate", suite.bundle("class"), "--sampler", "ddim:3"),
        *("--provider", "cuda", "--memory-limit", "8GB", "--out", out),
        **environment,
    )


def test_cuda_is_given_the_options_of_python_and_nvidias_wheels(
    suite: Suite, machine: Machine, tmp_path: Path
) -> None:
    result = generate(suite, machine, tmp_path / "a.png")
    assert result.status == 0, result.err
    assert (tmp_path / "a.png").is_file()
    ((_, options),) = CudaOptions(memory_limit=LIMIT).onnxruntime_providers()
    assert machine.options("cuda") == options
    assert "nvidia/cudnn/lib/libcudnn.so.9 is loaded" in result.err


def test_what_cuda_leaves_to_the_cpu_is_an_error(
    suite: Suite, machine: Machine, tmp_path: Path
) -> None:
    result = generate(suite, machine, tmp_path / "a.png", ON_GPU="0")
    assert result.status == 5
    assert "cuda: transformer.onnx: ONNX Runtime gave it no node to run" in result.err
    result = generate(suite, machine, tmp_path / "a.png", ON_GPU="1")
    assert result.status == 5
    assert "has no " in result.err
    assert "would run it on the CPU; export with another --precision or --target" in result.err
    assert not (tmp_path / "a.png").exists()


def test_a_library_that_does_not_tell_what_it_leaves_to_the_cpu_is_not_used_for_cuda(
    suite: Suite, machine: Machine, tmp_path: Path
) -> None:
    result = generate(suite, machine, tmp_path / "a.png", VERSION="1.23.2")
    assert result.status == 5
    assert "ONNX Runtime 1.23.2" in result.err
    assert "name the library of version 1.24 or newer" in result.err


def test_what_computes_is_the_same_in_python_and_cpp() -> None:
    source = (ROOT / "runtimes" / "cpp" / "src" / "placement.cpp").read_text()
    (names,) = re.findall(r"operators = \{(.*?)\};", source, re.DOTALL)
    assert set(re.findall(r'"(\w+)"', names)) == placement._COMPUTE
