"""The C++ runtime passes the suite, with the same build of ONNX Runtime that Python has: bit for bit."""

import pytest
from cpp_runtime import built, onnxruntime_library

from runtimes.conformance.cases import read_cases
from runtimes.conformance.checks import Check, Runtime, all_checks
from runtimes.conformance.program import process
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    """The program as a user builds it."""
    command = [str(built("release"))]
    return Runtime(program=process(command, DCAE_ONNXRUNTIME=str(onnxruntime_library())))


@pytest.mark.parametrize("check", all_checks(read_cases()), ids=lambda check: check.name)
def test_the_cpp_runtime_conforms(runtime: Runtime, suite: Suite, check: Check) -> None:
    assert check.problems(suite, runtime) == []
