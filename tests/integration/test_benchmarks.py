"""Benchmarks on narrow, shallow networks: what they measure and write, not how fast."""

import dataclasses
import json
import statistics
from pathlib import Path

import pytest
from autoencoders import shrink, small_checkpoint
from click.testing import CliRunner
from export_factory import TINY
from transformers_factory import SCALED_LINEAR, TINY_UVIT, tiny_transformer

from benchmarks.artifacts import Artifacts
from benchmarks.autoencoder import measure_memory, measure_speed
from benchmarks.case import Case, Direction
from benchmarks.contestants import BUNDLE, EAGER, PLAIN, Contestant
from benchmarks.demo_generation import CLASSES, Generated, measure_demo_generation
from benchmarks.demo_reconstruction import HeldOut, measure_reconstruction
from benchmarks.denoiser import Denoiser
from benchmarks.diffusion_training import measure_pair, measure_single
from benchmarks.engine import measure_engine
from benchmarks.process import WorkerError
from benchmarks.report import markdown
from benchmarks.results import Results, read_document
from benchmarks.run import main
from benchmarks.study import ADAPTATION, FULL_GAN, Study, key, measure_study
from dcae_export.errors import UsageError
from dcae_export.export.exporter import TransformerExport, export
from dcae_export.export.options import ExportOptions
from dcae_export.models.key_map import Layout
from dcae_export.models.presets import PRESETS
from dcae_export.models.weights import save_checkpoint
from dcae_export.pictures.picture_file import read_picture
from recipes.demo.draw import command as draw

pytestmark = pytest.mark.integration

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


def test_results_that_rest_on_something_else_go_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "study.json"

    def rest_on(steps: int, *, again: bool) -> Results:
        results = Results.open(path, "study", again=again)
        results.rest_on("sizes", "study", {"steps": steps}, named="other steps")
        return results

    rest_on(1, again=False).put("stages", "phase 1", {})
    assert "stages" in rest_on(1, again=False).document
    with pytest.raises(UsageError, match="of other steps; choose another --out, or --again"):
        rest_on(2, again=False)
    assert "stages" in read_document(path)
    assert "stages" not in rest_on(2, again=True).document
    assert read_document(path)["sizes"]["study"]["cell"] == {"steps": 2}


def test_the_engine_and_a_plain_loop_take_turns_and_end_with_the_same_weights():
    cell = measure_engine(size=64, rounds=2, steps=2, divisor=16)
    assert cell["engine"]["weights"] == cell["plain"]["weights"]
    for one in cell.values():
        assert [len(turn) for turn in one["seconds"]] == [2, 2]
        assert one["ratio"] > 0
    assert cell["plain"]["ratio"] == 1.0
    text = markdown(setting("engine") | {"steps": {"tiny": {"source": "", "cell": cell}}})
    assert f"| tiny | {cell['engine']['median']:.3f} " in text


def setting(benchmark: str) -> dict[str, object]:
    return {"benchmark": benchmark, "machine": {}, "versions": {}}


def test_the_study_goes_on_and_trains_again_what_a_lost_stage_left(tmp_path, capsys):
    sizes = Study(
        low=64,
        high=128,
        trial_steps=1,
        learning_rates=(1e-4, 1e-3),
        steps=2,
        adaptation_steps=1,
        refinement_steps=1,
        batch_size=2,
        pictures=3,
        held_out=2,
        held_out_high=1,
    )
    path, work = tmp_path / "study.json", tmp_path / "work"
    measure_study(sizes, 1, work, Results.open(path, "study", again=False))
    document = read_document(path)
    stages = document["stages"]
    assert len(stages) == 7
    assert len(document["trials"]) == 4
    assert all(0 < entry["cell"]["psnr"]["128"] < 100 for entry in stages.values())
    lost = key(FULL_GAN, 0)
    first = stages.pop(lost)
    path.write_text(json.dumps(document))
    (work / "study" / "seed-0" / f"{ADAPTATION}.safetensors").unlink()
    capsys.readouterr()
    measure_study(sizes, 1, work, Results.open(path, "study", again=False))
    taken = [line for line in capsys.readouterr().out.splitlines() if line.endswith(": measured")]
    assert taken == [f"stages {key(name, 0)}: measured" for name in (ADAPTATION, FULL_GAN)]
    again = read_document(path)
    assert again["stages"][lost]["cell"]["sha256"] == first["cell"]["sha256"]
    text = markdown(again)
    assert "| shortcuts minus none | psnr | 64 |" in text
    assert "| full GAN minus phase 3 | sharpness | 64 |" in text


def test_trainings_of_a_transformer_take_turns(tmp_path):
    compressed, baseline = (
        Denoiser(name="dit-s", autoencoder=autoencoder, evaluations=1)
        for autoencoder in ("f64", "f32")
    )
    pair = measure_pair(compressed, baseline, tokens=256, rounds=2, precision="fp32")
    trainings = pair["trainings"]
    assert [one["batch_size"] for one in trainings.values()] == [4, 1]
    assert all(len(one["step_seconds"]) == 2 for one in trainings.values())
    ours, theirs = (one["step_seconds"] for one in trainings.values())
    by_round = [4 * slow / fast for fast, slow in zip(ours, theirs, strict=True)]
    assert pair["speed_up"] == pytest.approx(statistics.median(by_round))
    single = measure_single(compressed, steps=2, precision="fp32")
    assert set(single["losses"][-1]) == {"noise", "variational_bound"}
    results = Results.open(tmp_path / "new.json", "diffusion_training", again=False)
    results.put("steps", "dit-s", single)
    results.put("pairs", "pair", {**pair, "published_on_h100": 4.5})
    text = markdown(read_document(tmp_path / "new.json"))
    assert "| dit-s on f64 | 4 |" in text
    assert "| dit-s on f32 | 1 |" in text


def test_a_study_of_other_sizes_does_not_join_the_results(tmp_path):
    results = Results.open(tmp_path / "study.json", "study", again=False)
    results.put("sizes", "study", {"steps": 1})
    with pytest.raises(UsageError, match="other sizes or steps; choose another --out"):
        measure_study(Study(), 1, tmp_path, results)


@pytest.fixture(scope="module")
def demo_bundle(tmp_path_factory) -> Path:
    """A bundle of random weights that makes 32 px of the demo's classes."""
    config = dataclasses.replace(TINY_UVIT, grid=(16, 16))
    transformer = tiny_transformer(config, SCALED_LINEAR, sampler="ddim:2")
    return export(
        small_checkpoint(TINY),
        tmp_path_factory.mktemp("demo") / "bundle",
        ExportOptions(),
        transformer=TransformerExport(checkpoint=transformer, class_names=CLASSES),
    )


def test_reconstructions_of_the_demo_stand_beside_bicubic_and_jpeg(demo_bundle, tmp_path):
    held_out = HeldOut(side=32, count=1, larger=(64,), larger_count=1, shown=32)
    path = tmp_path / "results.json"

    def measure(before: Path | None) -> Path:
        results = Results.open(path, "demo_reconstruction", again=False)
        return measure_reconstruction(demo_bundle, before, held_out, tmp_path, results)

    sheet = read_picture(measure(demo_bundle))
    assert sheet.shape[0] > 12 * held_out.shown
    document = read_document(path)
    family = document["drawn"]["stars"]["cell"]
    assert set(family["contestants"]) == {"bundle", "before", "bicubic", "jpeg"}
    # Four float16 for every four pixels.
    assert family["latent_bytes"] == 32 * 32 * 2
    assert family["contestants"]["bundle"] == family["contestants"]["before"]
    # At half the size a picture survives; nothing does in random weights.
    assert family["contestants"]["bicubic"]["psnr"] > family["contestants"]["bundle"]["psnr"]
    sizes = document["sizes"]["stars"]["cell"]
    assert sizes["32"]["whole"] == sizes["32"]["tiles"]
    assert sizes["64"]["whole"] != sizes["64"]["tiles"]
    text = markdown(document)
    assert "drawn pictures, dB above bicubic, at least 4.00: -" in text
    assert "not met" in text
    with pytest.raises(UsageError, match="of other bundles or pictures; choose another --out"):
        measure(None)


def test_what_the_demo_generates_is_named_and_set_beside_its_training(
    demo_bundle, tmp_path, capsys
):
    pictures, path = tmp_path / "pictures", tmp_path / "results.json"
    options = ["--split", "training", "--count", "2", "--side", "32", "--out", str(pictures)]
    assert CliRunner().invoke(draw, options).exit_code == 0
    generated = Generated(
        count=3, held_out=2, classifier_pictures=2, classifier_epochs=1, columns=2, shown=32
    )

    def measure() -> tuple[Path, ...]:
        results = Results.open(path, "demo_generation", again=False)
        return measure_demo_generation(demo_bundle, pictures, generated, tmp_path, results)

    classes, pairs = map(read_picture, measure())
    assert classes.shape < pairs.shape
    document = read_document(path)
    cell = document["generated"]["stars"]["cell"]
    assert sum(cell["names"].values()) == len(cell["distances"]) == len(cell["nearest"]) == 3
    assert all((pictures / name).exists() for name in cell["nearest"])
    assert sum(document["held out"]["stars"]["cell"]["reconstructed"].values()) == 2
    assert "Goal: generated pictures, at least 80.0%: " in markdown(document)
    (next(tmp_path.glob("demo/*/stars/")) / "000.png").unlink()
    capsys.readouterr()
    measure()
    taken = [line for line in capsys.readouterr().out.splitlines() if line.endswith(": measured")]
    assert taken == ["generated stars: measured"]
    again = read_document(path)
    assert again["generated"]["stars"]["cell"] == cell


@pytest.mark.parametrize("command", ["demo-generation", "distribution", "engine", "study"])
def test_commands_say_what_they_take(command):
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert f"benchmarks/results/{command.replace('-', '_')}.json" in shown.output
