"""A strongly typed engine is built of what was checked, and kept under its key."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from bundle_factory import CHANNELS, write_tiny_bundle
from fake_nvidia import FakeMachine, FakeSession, use_machine

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import ParityError, ProviderError, ResourceError
from dcae_export.runtime import engine_key
from dcae_export.runtime.engine_build import build_engine, load_tensorrt
from dcae_export.runtime.engine_session import CONTEXT_NAME, EnginePlan
from dcae_export.runtime.provider_options import TensorRtOptions

STRONGLY_TYPED = 1
PICTURES = np.random.default_rng(0).uniform(-1, 1, (2, 3, 6, 6)).astype(np.float32)


class Opener:
    """ONNX Runtime: CUDA's pictures, and the engine's."""

    def __init__(self, gives=PICTURES) -> None:
        self.gives = gives

    def __call__(self, providers, context):
        assert (context is None) == (len(providers) == 1)
        if context is None:
            return FakeSession([], {}, gives=PICTURES)
        assert (context.parent / "strongly-typed.engine").read_bytes() == b"plan"
        return FakeSession([], {}, gives=self.gives)


class FakeTensorRt(SimpleNamespace):
    """TensorRT's Python API, as far as it is used; it remembers what it was told."""

    def __init__(self, *, version="10.14.1.48", parses=True, builds=True) -> None:
        told: dict[str, object] = {}
        config = SimpleNamespace(
            builder_optimization_level=None,
            progress_monitor=None,
            set_memory_pool_limit=lambda pool, size: told.update({pool: size}),
            add_optimization_profile=lambda profile: None,
            create_timing_cache=lambda data: data,
            set_timing_cache=lambda cache, ignore_mismatch: told.update(
                timings=cache, ignore_mismatch=ignore_mismatch
            ),
            get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"timings"),
        )

        def build(network, given):
            given.progress_monitor.phase_start("Tactics", None, 2)
            for step in range(2):
                assert given.progress_monitor.step_complete("Tactics", step)
            given.progress_monitor.phase_finish("Tactics")
            return b"plan" if builds else None

        def parse(model, path):
            told.update(model=model, path=path)
            return parses

        super().__init__(
            told=told,
            config=config,
            __version__=version,
            Logger=type("Logger", (), {"INTERNAL_ERROR": 0, "__init__": lambda self, level: None}),
            NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=STRONGLY_TYPED),
            MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
            IProgressMonitor=object,
            Builder=lambda logger: SimpleNamespace(
                create_network=lambda flags: told.update(flags=flags),
                create_builder_config=lambda: config,
                create_optimization_profile=lambda: SimpleNamespace(
                    set_shape=lambda *shapes: told.update(shapes=shapes)
                ),
                build_serialized_network=build,
            ),
            OnnxParser=lambda network, logger: SimpleNamespace(
                parse=parse,
                get_error=lambda at: SimpleNamespace(desc=lambda: "no importer for Foo"),
            ),
        )


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(engine_key, "built_for_cuda", lambda: "13.0")
    monkeypatch.setattr(engine_key, "installed_version", lambda: "1.31.1")
    return use_machine(monkeypatch, FakeMachine())


@pytest.fixture
def plan(tmp_path):
    files = Bundle.open(write_tiny_bundle(tmp_path / "bundle")).check_graph("decoder")
    options = TensorRtOptions(
        precision="graph", engine_cache=tmp_path / "cache", workspace=5, builder_level=4
    )
    return EnginePlan.of(files, options, axes={"batch": 2, "height": 3, "width": 3})


def use_tensorrt(monkeypatch, fake: FakeTensorRt) -> FakeTensorRt:
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    return fake


def test_an_engine_is_strongly_typed_of_the_checked_graph_and_found_again(monkeypatch, plan):
    fake = use_tensorrt(monkeypatch, FakeTensorRt())
    steps = []
    folder = build_engine(plan, open_graph=Opener(), on_progress=lambda *step: steps.append(step))
    assert fake.told["flags"] == 1 << STRONGLY_TYPED
    assert fake.told["model"] == plan.files.model
    assert fake.told["path"] == str(plan.files.path)
    assert fake.told["workspace"] == 5
    assert fake.told["ignore_mismatch"] is False
    assert fake.config.builder_optimization_level == 4
    assert fake.told["shapes"] == (
        "latent",
        (1, CHANNELS, 3, 3),
        (2, CHANNELS, 3, 3),
        (2, CHANNELS, 3, 3),
    )
    assert steps == [("Tactics", 1, 2), ("Tactics", 2, 2)]
    (node,) = onnx.load_from_string((folder / CONTEXT_NAME).read_bytes()).graph.node
    name = next(a.s.decode() for a in node.attribute if a.name == "ep_cache_context")
    assert (folder / name).read_bytes() == b"plan"
    assert plan.cache.find(plan.key) == folder


def test_a_recorded_engine_is_compared_before_it_records(monkeypatch, plan):
    use_tensorrt(monkeypatch, FakeTensorRt())
    recorded = EnginePlan.of(
        plan.files,
        replace(plan.options, cuda_graph=True),
        axes={"batch": 2, "height": 3, "width": 3},
    )

    def open_graph(providers, context):
        name, options = providers[0]
        if name == "TensorrtExecutionProvider":
            assert options["trt_cuda_graph_enable"] == "0"
        return Opener()(providers, context)

    folder = build_engine(recorded, open_graph=open_graph, on_progress=lambda *_: None)
    assert recorded.cache.find(recorded.key) == folder


def test_what_was_built_is_not_built_again_and_its_timings_are_used(monkeypatch, plan):
    use_tensorrt(monkeypatch, FakeTensorRt())
    folder = build_engine(plan, open_graph=Opener(), on_progress=lambda *_: None)
    again = use_tensorrt(monkeypatch, FakeTensorRt())
    build_engine(plan, open_graph=Opener(), on_progress=lambda *_: None)
    assert again.told == {}
    (folder / CONTEXT_NAME).unlink()
    build_engine(plan, open_graph=Opener(), on_progress=lambda *_: None)
    assert again.told["timings"] == b"timings"


@pytest.mark.parametrize(
    ("fake", "kind", "message"),
    [
        (FakeTensorRt(parses=False), ProviderError, "does not take this graph: no importer"),
        (FakeTensorRt(builds=False), ResourceError, "could not build an engine"),
    ],
)
def test_a_build_that_fails_says_why_and_keeps_nothing(monkeypatch, plan, fake, kind, message):
    use_tensorrt(monkeypatch, fake)
    with pytest.raises(kind, match=message):
        build_engine(plan, open_graph=Opener(), on_progress=lambda *_: None)
    assert plan.cache.find(plan.key) is None


def test_an_engine_that_computes_something_else_is_refused(monkeypatch, plan):
    use_tensorrt(monkeypatch, FakeTensorRt())
    with pytest.raises(ParityError, match="engine in graph is off"):
        build_engine(plan, open_graph=Opener(gives=-PICTURES), on_progress=lambda *_: None)
    assert plan.cache.find(plan.key) is None


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (None, r"Python package is missing; pip install 'tensorrt-cu13==10\.\*'"),
        (
            FakeTensorRt(version="11.4.0.106"),
            r"TensorRT 11\.4\.0\.106 is installed, .* TensorRT 10",
        ),
    ],
)
def test_tensorrt_that_is_missing_or_of_another_version_is_named(monkeypatch, fake, message):
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    with pytest.raises(ProviderError, match=message):
        load_tensorrt()
