"""The engine of a run: kept, built, damaged, or missing."""

from pathlib import Path

import numpy as np
import pytest
from bundle_factory import write_tiny_bundle
from fake_nvidia import FakeMachine, FakeSession, use_machine

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import ParityError, ProviderError, RefusedError
from dcae_export.runtime import engine_key
from dcae_export.runtime.engine_session import CONTEXT_NAME, EnginePlan
from dcae_export.runtime.provider_options import AxisProfile, TensorRtOptions

AXES = {"batch": 2, "height": 3, "width": 3}
PICTURES = np.random.default_rng(0).uniform(-1, 1, (2, 3, 6, 6)).astype(np.float32)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(engine_key, "built_for_cuda", lambda: "13.0")
    monkeypatch.setattr(engine_key, "installed_version", lambda: "1.31.1")
    return use_machine(monkeypatch, FakeMachine())


@pytest.fixture
def files(tmp_path):
    return Bundle.open(write_tiny_bundle(tmp_path / "bundle")).check_graph("decoder")


class Builder:
    """TensorRT's provider: reads the engine that is there, or writes one."""

    def __init__(self, gives=None) -> None:
        self.calls: list[str] = []
        self.folders: list[Path] = []
        self.unreadable = 0
        self.gives = PICTURES if gives is None else gives

    def __call__(self, providers, context):
        (name, options), *_ = providers
        if name == "CUDAExecutionProvider":
            return FakeSession([], {}, gives=PICTURES)
        if context is not None:
            self.calls.append(f"load {context.name}")
            return FakeSession([], {}, gives=self.gives)
        folder = Path(options["trt_engine_cache_path"])
        self.folders.append(folder)
        engine = folder / "graph_0_sm90.engine"
        if engine.exists():
            if self.unreadable:
                self.unreadable -= 1
                self.calls.append("fail")
                raise RuntimeError(f"TensorRT EP could not deserialize engine from cache: {engine}")
            self.calls.append("load")
        else:
            self.calls.append("build")
            engine.write_bytes(b"engine")
        if options["trt_cuda_graph_enable"] == "1":
            return Recording([], {}, gives=self.gives)
        return FakeSession([], {}, gives=self.gives)


class Recording(FakeSession):
    """A session that would record places which the next run's arrays are not in."""

    def run(self, names, inputs):
        raise AssertionError("a recorded session was given arrays of its own")


def plan(files, tmp_path, axes=AXES, **options) -> EnginePlan:
    return EnginePlan.of(
        files, TensorRtOptions(engine_cache=tmp_path / "cache", **options), axes=axes
    )


def test_the_second_session_loads_what_the_first_has_built(files, tmp_path):
    builder = Builder()
    for _ in range(2):
        plan(files, tmp_path).open(builder)
    assert builder.calls == ["build", "load"]
    assert builder.folders[1].name == plan(files, tmp_path).key.digest()


def test_a_recorded_engine_is_compared_before_it_records(files, tmp_path):
    builder = Builder()
    recorded = plan(files, tmp_path, cuda_graph=True)
    assert isinstance(recorded.open(builder), Recording)
    assert builder.calls == ["build", "load"]
    assert builder.folders[1] == recorded.cache.find(recorded.key)
    assert not recorded.takes({**AXES, "batch": 1})
    off = plan(files, tmp_path / "off", cuda_graph=True)
    with pytest.raises(ParityError):
        off.open(Builder(-PICTURES))
    assert off.cache.find(off.key) is None


@pytest.mark.parametrize(
    "other",
    [
        {"axes": {**AXES, "height": 4}},
        {"axes": {**AXES, "batch": 1}},
        {"precision": "fp16"},
        {"builder_level": 5},
        {"profile": (AxisProfile(axis="height", least=1, best=3, most=8),)},
    ],
)
def test_another_run_has_another_engine(files, tmp_path, other):
    builder = Builder()
    plan(files, tmp_path).open(builder)
    plan(files, tmp_path, **other).open(builder)
    assert builder.calls == ["build", "build"]


def test_a_new_driver_has_new_engines(files, tmp_path, here):
    builder = Builder()
    plan(files, tmp_path).open(builder)
    here.driver = "590.10"
    plan(files, tmp_path).open(builder)
    here.driver = "580.95.05"
    plan(files, tmp_path).open(builder)
    assert builder.calls == ["build", "build", "load"]


def test_an_engine_whose_bytes_changed_is_built_again_without_being_loaded(files, tmp_path):
    builder = Builder()
    plan(files, tmp_path).open(builder)
    (engine,) = (tmp_path / "cache").glob("*/*.engine")
    engine.write_bytes(b"Engine")
    plan(files, tmp_path).open(builder)
    assert builder.calls == ["build", "build"]


def test_an_engine_that_tensorrt_cannot_read_is_built_again_once(files, tmp_path):
    builder = Builder()
    plan(files, tmp_path).open(builder)
    # Before and after waiting for others that build.
    builder.unreadable = 2
    plan(files, tmp_path).open(builder)
    plan(files, tmp_path).open(builder)
    assert builder.calls == ["build", "fail", "fail", "build", "load"]


def test_a_build_that_fails_is_not_tried_again(files, tmp_path):
    calls = []

    def fail(providers, context):
        if len(providers) == 1:
            return Builder()(providers, context)
        calls.append(providers)
        raise RuntimeError("TensorRT EP failed to deserialize engine.")

    with pytest.raises(RuntimeError):
        plan(files, tmp_path).open(fail)
    assert len(calls) == 1


def test_an_engine_that_is_built_beside_a_kept_one_is_compared(files, tmp_path):
    plan(files, tmp_path).open(Builder())
    wanted = plan(files, tmp_path)

    def build_beside(providers, context):
        folder = providers[0][1].get("trt_engine_cache_path")
        if folder is not None and not folder.endswith(".building"):
            Path(folder, "of-another-version.engine").touch()
        return Builder(-PICTURES)(providers, context)

    with pytest.raises(ParityError):
        wanted.open(build_beside)
    assert wanted.cache.find(wanted.key) is None


def test_an_engine_of_weights_that_changed_meanwhile_is_not_kept(files, tmp_path):
    (weights,) = files.data
    original = weights.read_bytes()
    builder = Builder()

    def change(providers, context):
        weights.write_bytes(bytes(len(original)))
        return builder(providers, context)

    wanted = plan(files, tmp_path)
    with pytest.raises(
        RefusedError, match=r"decoder\.onnx\.data: changed while its engine was built"
    ):
        wanted.open(change)
    assert wanted.cache.find(wanted.key) is None
    weights.write_bytes(original)
    wanted.open(builder)
    assert wanted.cache.find(wanted.key) is not None


def test_another_failure_does_not_cost_the_engine(files, tmp_path):
    plan(files, tmp_path).open(Builder())

    def fail(providers, context):
        raise RuntimeError("CUDA failure 2: out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        plan(files, tmp_path).open(fail)
    builder = Builder()
    plan(files, tmp_path).open(builder)
    assert builder.calls == ["load"]


def test_a_strongly_typed_engine_is_loaded_where_it_was_built(files, tmp_path):
    wanted = plan(files, tmp_path, precision="graph")
    builder = Builder()
    with pytest.raises(
        ProviderError, match=r"decoder\.onnx for batch 2, .* dcae engine build .* --guidance"
    ):
        wanted.open(builder)
    with wanted.cache.new_entry(wanted.key) as folder:
        (folder / CONTEXT_NAME).write_bytes(b"context")
    wanted.open(builder)
    assert builder.calls == [f"load {CONTEXT_NAME}"]


def test_an_engine_takes_the_sizes_of_its_profile(files, tmp_path):
    one = plan(files, tmp_path)
    assert one.takes({"batch": 1, "height": 3, "width": 3})
    assert not one.takes({"batch": 3, "height": 3, "width": 3})
    assert not one.takes({"batch": 1, "height": 2, "width": 3})


@pytest.mark.parametrize("keeps", [True, False])
def test_timings_are_kept_beside_the_engines_if_they_are_to_be(files, tmp_path, keeps):
    seen = []

    def build(providers, context):
        if len(providers) == 1:
            return Builder()(providers, context)
        seen.append(providers[0][1])
        Path(providers[0][1]["trt_engine_cache_path"], "a.engine").touch()
        return FakeSession([], {}, gives=PICTURES)

    plan(files, tmp_path, timing_cache=keeps).open(build)
    assert ("trt_timing_cache_path" in seen[0]) is keeps


OFF = {
    "not a number": np.full_like(PICTURES, np.nan),
    "beyond float16": np.where(PICTURES > 0.9, np.float32(np.inf), PICTURES),
    "black": np.zeros_like(PICTURES),
    "39 dB": PICTURES + np.float32(2 * 10 ** (-39 / 20)),
}


@pytest.mark.parametrize("gives", OFF.values(), ids=OFF)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_an_engine_that_computes_something_else_is_not_kept(files, tmp_path, gives, precision):
    wanted = plan(files, tmp_path, precision=precision)
    with pytest.raises(
        ParityError, match=rf"decoder\.onnx: TensorRT's engine in {precision} is off"
    ):
        wanted.open(Builder(gives))
    assert wanted.cache.find(wanted.key) is None


def test_an_engine_within_float16s_bounds_is_kept(files, tmp_path):
    wanted = plan(files, tmp_path, precision="fp16")
    wanted.open(Builder(PICTURES + np.float32(2 * 10 ** (-42 / 20))))
    assert wanted.cache.find(wanted.key) is not None
