"""The commands that make a GPU ready, on a machine without one."""

import json
import sys

import pytest
from bundle_factory import edit_manifest
from fake_nvidia import FakeMachine, use_machine
from gaussian_data import UVIT
from generation_factory import write_generating_bundle

from dcae_export.runtime import shared_libraries
from dcae_export.runtime.provider import load_onnxruntime
from dcae_export.runtime.provider_options import AxisProfile


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_generating_bundle(tmp_path_factory.mktemp("warmup") / "bundle", UVIT, "ddim:3")


def test_every_graph_is_opened_and_run_twice(dcae, bundle):
    result = dcae("warmup", bundle, "--size", "6x4", "--batch", "2")
    assert result.status == 0
    lines = result.out.splitlines()
    assert lines[0].split("  ")[0] == "graph"
    assert [line.split()[0] for line in lines[1:]] == ["decoder", "transformer"]


def test_a_run_without_guidance_is_tried_as_one(dcae, tmp_path):
    narrow = write_generating_bundle(tmp_path / "bundle", UVIT, "ddim:3")
    edit_manifest(
        narrow, lambda content: content["graphs"]["transformer"]["ranges"]["batch"].update(max=2)
    )
    assert dcae("warmup", narrow, "--batch", "2", "--guidance", "1").status == 0
    result = dcae("warmup", narrow, "--batch", "2")
    assert result.status == 2
    assert "transformer: batch is 4" in result.err


def test_the_times_are_json_too(dcae, bundle):
    content = json.loads(dcae("warmup", bundle, "--json").out)
    assert content["provider"] == "cpu"
    assert [graph["graph"] for graph in content["graphs"]] == ["decoder", "transformer"]
    assert all(graph["open_s"] >= 0 for graph in content["graphs"])


def test_a_size_that_is_no_multiple_is_a_usage_error(dcae, bundle):
    result = dcae("warmup", bundle, "--size", "5")
    assert result.status == 2
    assert "multiples of 2" in result.err


def with_gpu_build(monkeypatch, machine):
    """An ONNX Runtime that lists TensorRT, on this machine."""
    use_machine(monkeypatch, machine)
    listed = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(load_onnxruntime(), "get_available_providers", lambda: listed)
    monkeypatch.setattr(shared_libraries, "built_for_cuda", lambda: "13.0")


@pytest.mark.parametrize(
    "line", [("warmup", "--provider", "tensorrt"), ("engine", "build")], ids=lambda line: line[0]
)
def test_without_tensorrts_libraries_nothing_is_built(dcae, bundle, monkeypatch, tmp_path, line):
    with_gpu_build(monkeypatch, FakeMachine(absent={"libnvinfer.so.10"}))
    cache = tmp_path / "cache"
    result = dcae(*line, bundle, "--engine-cache", cache)
    assert result.status == 5
    assert "libnvinfer.so.10 (pip install 'tensorrt-cu13==10.*')" in result.err
    assert result.err.count("\n") == 1
    assert not cache.exists()


def test_an_engine_is_built_with_tensorrts_python_package_only(dcae, bundle, monkeypatch, tmp_path):
    with_gpu_build(monkeypatch, FakeMachine())
    monkeypatch.setattr("dcae_export.runtime.engine_key.built_for_cuda", lambda: "13.0")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    result = dcae("engine", "build", bundle, "--engine-cache", tmp_path / "cache")
    assert result.status == 5
    assert "TensorRT's Python package is missing" in result.err


def test_an_engine_is_built_for_the_runs_that_the_options_say(dcae, bundle, monkeypatch, tmp_path):
    with_gpu_build(monkeypatch, FakeMachine())
    monkeypatch.setattr("dcae_export.runtime.engine_key.built_for_cuda", lambda: "13.0")
    plans = {}

    def build(plan, **_):
        plans[plan.files.path.stem] = plan
        return tmp_path

    monkeypatch.setattr("dcae_export.runtime.engine_build.build_engine", build)
    options = ("--batch", "2", "--guidance", "1", "--cuda-graph", "--size", "4")
    result = dcae("engine", "build", bundle, "--engine-cache", tmp_path / "cache", *options)
    assert result.status == 0, result.err
    assert plans["transformer"].axes["batch"] == AxisProfile(axis="batch", least=2, best=2, most=2)
    assert plans["transformer"].options.cuda_graph
