"""The autoencoder benchmark on a narrow, shallow network: what it measures and writes, not how fast."""

import sys
from pathlib import Path

import pytest
from autoencoders import shrink, small_checkpoint

from dcae_export.models.key_map import Layout
from dcae_export.models.presets import PRESETS
from dcae_export.models.weights import save_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
# The benchmarks are part of the repository and not of the package.
sys.path.append(str(ROOT))

from benchmarks.artifacts import Artifacts  # noqa: E402
from benchmarks.autoencoder import measure_memory, measure_speed  # noqa: E402
from benchmarks.case import Case, Direction  # noqa: E402
from benchmarks.contestants import BUNDLE, EAGER, PLAIN, Contestant  # noqa: E402
from benchmarks.process import WorkerError  # noqa: E402
from benchmarks.report import markdown  # noqa: E402
from benchmarks.results import Results, read_document  # noqa: E402

CASE = Case(variant="f32", direction=Direction.DECODE, size=256)
NOBODY = Contestant(
    name="compile", module="benchmarks.tasks.nobody", files=lambda *_: Path("nowhere")
)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Artifacts:
    folder = tmp_path_factory.mktemp("benchmarks")
    # Exports take their time by the node.
    config = shrink(PRESETS["dc-ae-f32c32-in-1.0"].config, depth=1)
    save_checkpoint(small_checkpoint(config), folder / "f32" / "weights", layout=Layout.DIFFUSERS)
    return Artifacts(folder)


def test_contestants_agree_and_take_turns(artifacts):
    cell = measure_speed(CASE, (BUNDLE, PLAIN, EAGER, NOBODY), artifacts, rounds=2)
    assert "ModuleNotFoundError" in cell["compile"]["not_run"]
    for name in ("bundle", "plain", "eager"):
        assert len(cell[name]["seconds"]) == 2
        assert cell[name]["relative_l2"] <= 1e-5
        assert cell[name]["ratio"] > 0
    assert cell["bundle"]["ratio"] == 1.0


def test_a_bundle_is_measured_without_torch(artifacts):
    cell = measure_memory(CASE, (BUNDLE,), artifacts)
    # torch alone holds more than this.
    assert 0 < cell["bundle"]["peak_bytes"] < 200 * 2**20
    assert cell["bundle"]["open_seconds"] > 0


def test_a_benchmark_needs_the_bundle(artifacts, tmp_path):
    broken = Contestant(name="bundle", module=BUNDLE.module, files=lambda *_: tmp_path)
    with pytest.raises(WorkerError, match=r"bundle: .*manifest"):
        measure_memory(CASE, (broken,), artifacts)


def test_results_are_kept_and_printed(tmp_path, capsys):
    path = tmp_path / "results" / "autoencoder.json"
    cell = {
        "bundle": {"seconds": [1.0], "median": 1.0, "ratio": 1.0},
        "plain": {"seconds": [2.0], "median": 2.0, "ratio": 2.0},
        "compile": {"not_run": "no compiler"},
    }
    results = Results.open(path, "autoencoder", again=False)
    assert results.wants("speed", str(CASE))
    results.put("speed", str(CASE), cell)
    assert not Results.open(path, "autoencoder", again=False).wants("speed", str(CASE))
    assert Results.open(path, "autoencoder", again=True).wants("speed", str(CASE))
    assert "kept" in capsys.readouterr().out
    text = markdown(read_document(path))
    assert "| f32 decode 256 | 1.000 (1.00) | 2.000 (2.00) | not run |" in text
    assert "f32 decode 256: compile not run: no compiler" in text
