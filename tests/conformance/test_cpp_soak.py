"""The C++ runtime under sanitizers, and stopped at any moment: no crash, no hang, no leak, nothing half-written."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cpp_runtime import built, onnxruntime_library

from dcae_export.pictures.picture_file import read_picture
from runtimes.conformance.cases import read_cases
from runtimes.conformance.checks import Check, Runtime, all_checks
from runtimes.conformance.program import process
from runtimes.conformance.suite import Suite

pytestmark = [pytest.mark.integration, pytest.mark.soak]

INTERRUPTIONS = 200
# No status of ours, so that what a sanitizer finds is never taken for an error that was expected.
FOUND = 99
_SANITIZERS = {
    "ASAN_OPTIONS": f"exitcode={FOUND}:detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": f"exitcode={FOUND}:halt_on_error=1:print_stacktrace=1",
}
# What ONNX Runtime keeps for the life of the process is not ours to release.
_NOT_OURS = "leak:libonnxruntime\n"


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """The program with AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer."""
    suppressions = tmp_path_factory.mktemp("sanitized") / "suppressions.txt"
    suppressions.write_text(_NOT_OURS)
    program = built("sanitized", "-DCMAKE_BUILD_TYPE=Debug", "-DDCAE_SANITIZE=address,undefined")
    return Runtime(
        program=process(
            [str(program)],
            DCAE_ONNXRUNTIME=str(onnxruntime_library()),
            LSAN_OPTIONS=f"suppressions={suppressions}:print_suppressions=0",
            **_SANITIZERS,
        )
    )


@pytest.mark.parametrize("check", all_checks(read_cases()), ids=lambda check: check.name)
def test_the_sanitizers_find_nothing_while_the_runtime_conforms(
    sanitized: Runtime, suite: Suite, check: Check
) -> None:
    assert check.problems(suite, sanitized) == []


def test_two_hundred_interruptions_leave_a_whole_picture_or_none(
    suite: Suite, tmp_path: Path
) -> None:
    out = tmp_path / "picture.png"
    command = [
        *(built("release"), "generate", suite.bundle("class"), "--sampler", "forms:6"),
        *("--label", "1", "--count", "8", "--size", "48x48", "--threads", "2", "--out", out),
    ]
    environment = os.environ | {"DCAE_ONNXRUNTIME": str(onnxruntime_library())}

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)

    began = time.monotonic()
    assert start().wait(timeout=300) == 0
    whole = read_picture(out)
    longest = 1.1 * (time.monotonic() - began)
    moments = random.Random(0)
    interrupted = 0
    for number in range(INTERRUPTIONS):
        out.unlink(missing_ok=True)
        child = start()
        time.sleep(moments.uniform(0, longest))
        child.send_signal(signal.SIGINT if number % 2 else signal.SIGTERM)
        _, error = child.communicate(timeout=60)
        interrupted += child.returncode != 0
        if child.returncode == 0:
            assert (read_picture(out) == whole).all()
            continue
        # Before the program has begun the signal ends it by itself.
        by_the_system = child.returncode in (-signal.SIGINT, -signal.SIGTERM)
        assert by_the_system or child.returncode == 130, error.decode()
        assert by_the_system or error.splitlines()[-1] == b"dcae: interrupted"
        assert list(tmp_path.iterdir()) == []
    assert interrupted > INTERRUPTIONS / 2
