"""The benchmark of both runtimes on a tiny bundle: what it measures and writes, not how fast."""

from pathlib import Path

import pytest
from cpp_runtime import built

from benchmarks.report import markdown
from benchmarks.runtimes import (
    CPP,
    IN_PROCESS,
    NETWORK,
    PYTHON,
    Programs,
    measure_files,
    measure_picture,
    measure_start,
    measure_steps,
    samplers,
)
from runtimes.conformance.bundles import export_flow

pytestmark = pytest.mark.integration

EVALUATIONS = (2, 20)


@pytest.fixture(scope="module")
def programs() -> Programs:
    """Both, the one of C++ as a user builds it."""
    return Programs(cpp=built("release"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow with a sampler for both numbers of evaluations."""
    return export_flow(
        tmp_path_factory.mktemp("benchmark") / "bundle", tuple(samplers(EVALUATIONS))
    )


def test_both_runtimes_are_measured_and_set_beside_each_other(
    programs: Programs, bundle: Path
) -> None:
    sections = {
        "start": measure_start(programs, "--version", rounds=2),
        "steps": measure_steps(programs, bundle, rounds=1, evaluations=EVALUATIONS),
        "picture": measure_picture(programs, bundle, "--seed", "1", rounds=1),
        "files": measure_files(programs),
    }
    assert list(sections["start"]) == [CPP, PYTHON]
    assert list(sections["steps"]) == [CPP, PYTHON, IN_PROCESS, NETWORK]
    for one in (CPP, PYTHON):
        assert len(sections["start"][one]["seconds"]) == 2
        assert sections["start"][one]["median"] > 0
        assert sections["picture"][one]["peak_bytes"] > 2**20
    assert sections["start"][CPP]["ratio"] == 1
    assert sections["steps"][NETWORK]["median"] > 0
    for sizes in sections["files"].values():
        assert 0 < sizes["stripped"] < sizes["bytes"]
    document = {"benchmark": "runtimes", "machine": {}, "versions": {}} | {
        name: {"tiny": {"source": "", "cell": cell}} for name, cell in sections.items()
    }
    text = markdown(document)
    for shown in (f"| {IN_PROCESS} |", "| dcae-run |", "| libdcae.so |", "| tiny | "):
        assert shown in text
