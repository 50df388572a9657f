"""The C++ runtime under sanitizers, and stopped at any moment: no crash, no hang, no leak, nothing half-written."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cpp_runtime import built, host_program, onnxruntime_library, run
from crafted_pictures import every_kind, gradient

from dcae_export.pictures.picture_file import read_picture
from runtimes.conformance.cases import read_cases
from runtimes.conformance.checks import Check, Runtime, all_checks
from runtimes.conformance.program import process
from runtimes.conformance.suite import Suite

pytestmark = [pytest.mark.integration, pytest.mark.soak]

INTERRUPTIONS = 200
DAMAGED_OF_EACH = 100
# No status of ours, so that what a sanitizer finds is never taken for an error that was expected.
FOUND = 99
_SANITIZERS = {
    "ASAN_OPTIONS": f"exitcode={FOUND}:detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": f"exitcode={FOUND}:halt_on_error=1:print_stacktrace=1",
}
# What ONNX Runtime keeps for the life of the process is not ours to release.
_NOT_OURS = "leak:libonnxruntime\n"


_BUILD = ("sanitized", "-DCMAKE_BUILD_TYPE=Debug", "-DDCAE_SANITIZE=address,undefined")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a program under sanitizers runs with."""
    suppressions = tmp_path_factory.mktemp("sanitized") / "suppressions.txt"
    suppressions.write_text(_NOT_OURS)
    return {
        "DCAE_ONNXRUNTIME": str(onnxruntime_library()),
        "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0",
        **_SANITIZERS,
    }


@pytest.fixture(scope="module")
def sanitized(environment: dict[str, str]) -> Runtime:
    """The program with AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer."""
    return Runtime(program=process([str(built(*_BUILD))], **environment))


@pytest.mark.parametrize(
    ("mode", "count"),
    [("cycles", 50), ("cancels", INTERRUPTIONS), ("destroys", 50), ("errors", 20000)],
)
def test_a_host_that_opens_cancels_and_closes_at_any_moment_leaks_and_breaks_nothing(
    environment: dict[str, str], suite: Suite, tmp_path: Path, mode: str, count: int
) -> None:
    flags = ("-g", "-fsanitize=address,undefined")
    program = host_program("cpp_soak/soak.cpp", tmp_path / "soak", _BUILD, *flags)
    said = run(program, mode, suite.bundle("class"), str(count), **environment)
    assert said.splitlines()[-1] == "done"


@pytest.mark.parametrize("check", all_checks(read_cases()), ids=lambda check: check.name)
def test_the_sanitizers_find_nothing_while_the_runtime_conforms(
    sanitized: Runtime, suite: Suite, check: Check
) -> None:
    assert check.problems(suite, sanitized) == []


def test_the_sanitizers_find_nothing_in_damaged_pictures(
    sanitized: Runtime, suite: Suite, tmp_path: Path
) -> None:
    damage = random.Random(0)
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "whole.png").write_bytes(every_kind(gradient(24, 40))["png"])
    for kind, picture in every_kind(gradient(24, 40)).items():
        for number in range(DAMAGED_OF_EACH):
            changed = bytearray(picture)
            for _ in range(damage.randint(1, 4)):
                changed[damage.randrange(len(changed))] = damage.randrange(256)
            cut = damage.randrange(len(changed)) if number % 4 == 0 else len(changed)
            (folder / f"{kind}-{number}.png").write_bytes(changed[:cut])
    command = ("reconstruct", suite.bundle("class"), folder, "--threads", "1")
    outcome = sanitized.program([*map(str, command), "--out", str(tmp_path / "out")])
    assert outcome.status == 0, outcome.err[-2000:]
    assert f"of {5 * DAMAGED_OF_EACH + 1} pictures left out" in outcome.err


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
    undisturbed = start()
    undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0
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
