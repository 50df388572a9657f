"""The GPU benchmark's own path on the processor, with the demo's small networks."""

import pytest
from click.testing import CliRunner

from benchmarks.artifacts import Artifacts
from benchmarks.gpu import CONTESTANTS, GpuBenchmark, Pair, gpu_cases
from benchmarks.report import markdown
from benchmarks.results import Results, read_document
from benchmarks.run import main
from dcae_export.parity import FP32
from dcae_export.pictures.picture_file import read_picture
from dcae_export.runtime.nvidia_gpu import find_gpus

pytestmark = pytest.mark.integration

PAIR = Pair(transformer="usit-demo", autoencoder="f64-demo")
SIDE = 64
EAGER, ONNX, NHWC, TENSORRT = (
    "eager fp32",
    "ORT CUDA fp32",
    "ORT CUDA fp32, NHWC",
    "ORT TensorRT fp16",
)


def test_networks_pictures_and_loops_are_measured_on_the_processor(tmp_path):
    path = tmp_path / "gpu.json"
    benchmark = GpuBenchmark(
        artifacts=Artifacts(tmp_path / "work"),
        results=Results.open(path, "gpu", again=False),
        provider="cpu",
        contestants=[one for one in CONTESTANTS if one.name in (EAGER, ONNX, NHWC, TENSORRT)],
        batches=(2,),
        runs=1,
        product_side=64,
        least_side=SIDE,
    )
    benchmark.measure(gpu_cases([PAIR], ["decode", "step", "image"], [SIDE]))
    benchmark.measure_loops([PAIR], [SIDE])
    document = read_document(path)
    for part, case in (
        ("decode", f"f64-demo, decode {SIDE}"),
        ("step", f"{PAIR}, step {SIDE}"),
        ("image", f"{PAIR}, image {SIDE}"),
    ):
        cells = {
            name: document[part][f"{case} | {name}"]["cell"]
            for name in (EAGER, ONNX, NHWC, TENSORRT)
        }
        assert "the processor has no prefer_nhwc" in cells[NHWC]["not_run"]
        assert "tensorrt" in cells[TENSORRT]["not_run"]
        for name in (EAGER, ONNX):
            assert cells[name]["latency_seconds"] > 0
            assert cells[name]["best_images_per_second"] > 0
            assert cells[name]["peak_bytes"] > 0
        if part != "image":
            assert cells[ONNX]["relative_l2"] <= FP32.relative_l2
            assert set(cells[ONNX]["images_per_second"]) == {"1", "2"}
            assert cells[ONNX]["share_of_products"] > 0
    loops = document["loops"][f"{PAIR}, {SIDE}"]["cell"]
    assert loops["max_abs_difference"] == 0
    assert loops["device_seconds"] > 0
    assert f"| {PAIR}, step {SIDE} |" in markdown(document)


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
