"""The GPU benchmark's own path on the processor, with the demo's small networks."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.artifacts import Artifacts
from benchmarks.denoiser import Denoiser
from benchmarks.gpu import (
    CPU,
    HEADLINE_SIDE,
    STEP_BATCHES,
    GpuBenchmark,
    GpuCase,
    Pair,
    columns,
    gpu_cases,
)
from benchmarks.gpu_plot import plot
from benchmarks.report import markdown
from benchmarks.results import Results, read_document
from benchmarks.run import main
from dcae_export.parity import FP16_LATENTS, FP32
from dcae_export.pictures.picture_file import read_picture
from dcae_export.runtime.nvidia_gpu import find_gpus

pytestmark = pytest.mark.integration

PAIR = Pair(transformer="usit-demo", autoencoder="f64-demo")
SIDE = 64
EAGER, HALF, COMPILED = "eager fp32", "eager fp16", "compile fp16"
ONNX, ONNX_HALF = "ORT CPU fp32", "ORT CPU fp16"
RUN = (EAGER, ONNX)
NOT_RUN = {
    "compile fp16, CUDA graph": "channels last and CUDA graphs are options of CUDA",
    "ORT CPU fp16, NHWC, CUDA graph": "channels last and CUDA graphs are options of CUDA",
    "ORT TensorRT fp16": "was built without TensorrtExecutionProvider",
}
# The demo's transformer on latents as far apart as the published pair's, 64 and 1024 tokens.
DENOISERS = tuple(
    Denoiser(name="usit-demo", autoencoder=autoencoder, evaluations=2)
    for autoencoder in ("f64", "sd-f8")
)
TOKENS = 1024


def benchmark(folder: Path, *names: str) -> GpuBenchmark:
    return GpuBenchmark(
        artifacts=Artifacts(folder / "work"),
        results=Results.open(folder / "gpu.json", "gpu", again=False),
        provider=CPU,
        contestants=[one for one in columns(CPU) if one.name in names],
        batches=(2,),
        runs=1,
        product_side=64,
        least_side=SIDE,
    )


def cells_of(path: Path, section: str) -> dict[str, dict]:
    """By what runs it, or by the key where that is all there is."""
    document = read_document(path)
    return {key.rpartition(" | ")[2]: entry["cell"] for key, entry in document[section].items()}


def test_networks_pictures_and_loops_are_measured_on_the_processor(tmp_path):
    measured = benchmark(tmp_path, *RUN, *NOT_RUN)
    measured.measure(gpu_cases([PAIR], ["decode", "step", "image"], [SIDE]))
    measured.measure_loops([PAIR], [SIDE])
    path = tmp_path / "gpu.json"
    for part in ("decode", "step", "image"):
        cells = cells_of(path, part)
        for name, reason in NOT_RUN.items():
            assert reason in cells[name]["not_run"]
        for name in RUN:
            assert cells[name]["latency_seconds"] > 0
            assert cells[name]["best_images_per_second"] > 0
            assert cells[name]["peak_bytes"] > 0
        if part == "image":
            assert {cells[name]["sampler"] for name in RUN} == {cells[EAGER]["sampler"]}
            continue
        assert cells[EAGER]["relative_l2"] == 0
        assert cells[ONNX]["relative_l2"] <= FP32.relative_l2
        for name in RUN:
            assert set(cells[name]["images_per_second"]) == {"1", "2"}
            assert cells[name]["share_of_products"] > 0
    (loops,) = cells_of(path, "loops").values()
    assert loops["max_abs_difference"] == 0
    assert loops["device_seconds"] > 0
    document = read_document(path)
    assert f"| {PAIR}, step {SIDE} |" in markdown(document)
    plot(str(path), str(tmp_path / "gpu.png"))
    assert read_picture(tmp_path / "gpu.png").shape[2] == 3


def test_the_headline_is_measured_with_small_networks_in_float16(tmp_path, monkeypatch):
    # More rows than a bundle's transformer takes.
    monkeypatch.setitem(STEP_BATCHES, ("usit-demo", "f64"), 130)
    measured = benchmark(tmp_path, ONNX_HALF, "compile fp16, CUDA graph")
    measured.measure_headline([(*DENOISERS, 19.1)])
    # Compiling with CUDA graphs is none of the processor's headline.
    assert list(cells_of(tmp_path / "gpu.json", "headline")) == [ONNX_HALF]
    (cell,) = cells_of(tmp_path / "gpu.json", "headline").values()
    names = [str(one) for one in DENOISERS]
    assert cell["published_on_h100"] == 19.1
    assert [cell["steps"][name]["rows"] for name in names] == [130, 2]
    rates = [cell["steps"][name]["images_per_second"] for name in names]
    assert cell["speed_up"] == pytest.approx(rates[0] / rates[1])
    # Sixteen times the tokens; what else a small network takes leaves a wide margin.
    assert cell["speed_up"] > 2
    # The same step for itself, held to the float32 that the headline was held to.
    pair = Pair(transformer="usit-demo", autoencoder="f64")
    measured.measure([GpuCase(pair=pair, part="step", side=HEADLINE_SIDE, alone=True)])
    found = cells_of(tmp_path / "gpu.json", "step")[ONNX_HALF]["relative_l2"]
    # Weights were rounded, and nothing else was computed.
    assert FP32.relative_l2 < found <= FP16_LATENTS.relative_l2


def test_training_is_measured_with_small_networks(tmp_path):
    measured = benchmark(tmp_path)
    measured.measure_training([(*DENOISERS, 17.9)], tokens=TOKENS)
    (cell,) = cells_of(tmp_path / "gpu.json", "training").values()
    names = [str(one) for one in DENOISERS]
    assert cell["precision"] == "fp32"
    assert [cell["trainings"][name]["batch_size"] for name in names] == [TOKENS // 64, 1]
    assert cell["speed_up"] > 2
    text = markdown(read_document(tmp_path / "gpu.json"))
    assert f"| {names[0]} against {names[1]} | fp32 | {cell['speed_up']:.1f} | 17.9 |" in text


@pytest.mark.slow
def test_steps_in_half_and_compiled_are_measured_and_held_to_float32(tmp_path):
    measured = benchmark(tmp_path, EAGER, HALF, COMPILED)
    measured.measure(gpu_cases([PAIR], ["step"], [SIDE]))
    cells = cells_of(tmp_path / "gpu.json", "step")
    for name, batch in ((HALF, "2"), (COMPILED, "8")):
        assert FP32.relative_l2 < cells[name]["relative_l2"] <= FP16_LATENTS.relative_l2
        assert set(cells[name]["images_per_second"]) == {"1", batch}
    # Compiling is in the first run alone.
    assert cells[COMPILED]["first_seconds"] > 10 * cells[COMPILED]["latency_seconds"]


@pytest.mark.skipif(bool(find_gpus()), reason="it would be measured")
def test_without_a_gpu_the_command_writes_that_nothing_was_run(tmp_path):
    out = tmp_path / "gpu.json"
    arguments = ["gpu", "--out", str(out), "--work", str(tmp_path / "work"), "--pair", "uvit-h:f64"]
    result = CliRunner().invoke(main, [*arguments, "--size", "512"])
    assert result.exit_code == 0, result.output
    text = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| uvit-h on f64, step 512 | not run |" in text
    assert "all: not run: there is no NVIDIA GPU" in text
    assert read_picture(out.with_suffix(".png")).shape[2] == 3
    again = CliRunner().invoke(main, [*arguments, "--size", "512"])
    assert ": measured" not in again.output


def test_on_the_processor_the_command_begins_no_published_batch(tmp_path):
    out = tmp_path / "gpu.json"
    arguments = ["gpu", "--provider", CPU, "--out", str(out), "--work", str(tmp_path / "work")]
    parts = ["--part", "headline", "--part", "training"]
    result = CliRunner().invoke(main, [*arguments, *parts, "--size", "64"])
    assert result.exit_code == 0, result.output
    assert "headline and training: not run: the published batches are a GPU's" in result.output
    assert set(json.loads(out.read_text())) & {"headline", "training"} == set()
