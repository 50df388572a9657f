"""The Python runtime passes the suite that other runtimes are held to."""

from collections import Counter
from collections.abc import Sequence

import pytest

from runtimes.conformance import python_runtime
from runtimes.conformance.cases import read_cases
from runtimes.conformance.checks import Check, Runtime, all_checks
from runtimes.conformance.program import Outcome
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration


@pytest.fixture
def runtime(capsys: pytest.CaptureFixture[str]) -> Runtime:
    """The program in this process: a start of Python takes longer than most checks."""

    def program(arguments: Sequence[str]) -> Outcome:
        status = python_runtime.main(arguments)
        return Outcome(status, *capsys.readouterr())

    return Runtime(program=program)


@pytest.mark.parametrize("check", all_checks(read_cases()), ids=lambda check: check.name)
def test_the_python_runtime_conforms(suite: Suite, runtime: Runtime, check: Check) -> None:
    assert check.problems(suite, runtime) == []


def test_every_check_has_a_name_of_its_own() -> None:
    names = [check.name for check in all_checks(read_cases())]
    assert [name for name, count in Counter(names).items() if count > 1] == []
