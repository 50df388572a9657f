"""The suite finds what is wrong with a runtime, each fault by its own checks."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtimes.conformance import python_runtime
from runtimes.conformance.cases import read_cases
from runtimes.conformance.checks import Runtime, all_checks
from runtimes.conformance.program import Outcome
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration

CHECKS = {check.name: check for check in all_checks(read_cases())}
Spoil = Callable[[Path], None]


def next_float(path: Path) -> None:
    """The last bit of the last number."""
    array = np.load(path)
    array.flat[-1] = np.nextafter(array.flat[-1], np.float32(np.inf))
    np.save(path, array)


def one_row_less(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


def doubles(path: Path) -> None:
    np.save(path, np.load(path).astype(np.float64))


def one_level(path: Path) -> None:
    picture = cv2.imread(str(path)).astype(np.int16)
    picture[0, 0, 0] += 1 if picture[0, 0, 0] < 255 else -1
    cv2.imwrite(str(path), picture.astype(np.uint8))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("noise: seed 0, stream 0, 4", next_float),
        ("noise: seed 0, stream 0, 4", one_row_less),
        ("noise: seed 0, stream 0, 4", doubles),
        ("sample: flow-euler-3", next_float),
        ("sample: flow-three-at-once", one_row_less),
        ("generate: flow-euler-3", one_level),
        ("encode: class-small", next_float),
        ("decode: class-small", one_level),
        ("reconstruct: class-odd", one_level),
    ],
)
def test_one_bit_or_level_too_much_is_found(suite: Suite, name: str, spoil: Spoil) -> None:
    def program(arguments: Sequence[str]) -> Outcome:
        status = python_runtime.main(arguments)
        spoil(Path(arguments[list(arguments).index("--out") + 1]))
        return Outcome(status, "", "")

    assert CHECKS[name].problems(suite, Runtime(program=program)) != []


def test_rounding_passes_where_it_is_allowed_and_a_fault_does_not(suite: Suite) -> None:
    def off_by(share: float) -> Runtime:
        def program(arguments: Sequence[str]) -> Outcome:
            out = arguments[list(arguments).index("--out") + 1]
            status = python_runtime.main(arguments)
            np.save(out, np.load(out) * np.float32(1 + share))
            return Outcome(status, "", "")

        return Runtime(program=program, bits=False)

    check = CHECKS["sample: flow-euler-3"]
    assert check.problems(suite, off_by(1e-6)) == []
    assert check.problems(suite, off_by(1e-3)) != []


LINE = "dcae: error: decoder.onnx: 5 bytes, manifest.json says 6\n"


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (Outcome(3, "", LINE), None),
        (Outcome(0, "", ""), "status 0"),
        (Outcome(1, "", LINE), "status 1"),
        (Outcome(-11, "", ""), "status -11"),
        (Outcome(3, "", ""), "not its only error"),
        (Outcome(3, "", LINE + LINE), "not its only error"),
        (Outcome(3, "", LINE + "terminate called\n"), "not its only error"),
        (Outcome(3, "", "dcae: error: decoder.onnx: bytes \x1b[2J\n"), "printable"),
        (Outcome(3, "", f"dcae: error: decoder.onnx: bytes {'x' * 2000}\n"), "short"),
        (Outcome(3, "", "dcae: error: something is wrong\n"), "does not say 'decoder.onnx'"),
    ],
)
def test_an_error_of_another_form_is_found(
    suite: Suite, outcome: Outcome, problem: str | None
) -> None:
    check = CHECKS["hostile: decoder.onnx a byte longer"]
    found = check.problems(suite, Runtime(program=lambda _: outcome))
    assert (found == []) is (problem is None)
    assert problem is None or any(problem in line for line in found)


def test_what_an_error_leaves_behind_is_found(suite: Suite) -> None:
    def program(arguments: Sequence[str]) -> Outcome:
        out = Path(arguments[list(arguments).index("--out") + 1])
        out.write_bytes(b"half a picture")
        return Outcome(2, "", "dcae: error: label 5: labels are 0 to 4\n")

    problems = CHECKS["usage: label-beyond"].problems(suite, Runtime(program=program))
    assert problems == ["left picture.png behind"]
