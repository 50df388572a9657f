"""A session checks what it is given, gives back what the graph computes, and fails in our words."""

import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from bundle_factory import CHANNELS, replace_file, write_tiny_bundle

from dcae_export.bundle.reader import Bundle, GraphFiles
from dcae_export.errors import (
    BundleError,
    ParityError,
    ProviderError,
    ResourceError,
    UsageError,
)
from dcae_export.extras import install_command
from dcae_export.runtime.bound_graph import BoundGraphs
from dcae_export.runtime.provider import Provider, load_onnxruntime
from dcae_export.runtime.provider_options import CudaOptions, TensorRtOptions
from dcae_export.runtime.session import Session

THREADS = 8
# Sums of four products of about 1, in another order.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("session") / "bundle"))


@pytest.fixture(scope="module")
def session(bundle) -> Session:
    return Session(bundle.check_graph("decoder"))


def latent(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def test_a_session_gives_the_golden_output(bundle, session):
    inputs, outputs = bundle.golden(bundle.manifest.golden[0])
    np.testing.assert_allclose(
        session.run(inputs)["image"], outputs["image"], rtol=0, atol=ROUNDING
    )


@pytest.mark.parametrize("shape", [(1, CHANNELS, 1, 1), (3, CHANNELS, 2, 5), (8, CHANNELS, 8, 8)])
def test_every_size_in_range_runs(session, shape):
    batch, _, height, width = shape
    assert session.run({"latent": latent(*shape)})["image"].shape == (
        batch,
        3,
        2 * height,
        2 * width,
    )


# ------------------------------------------------------------------ checks before anything runs


class NeverRun:
    """Stands in for ONNX Runtime's session where a check must come first."""

    def run(self, *_: object) -> None:
        raise AssertionError("the graph was run")


@pytest.fixture
def unrunnable(bundle, monkeypatch) -> Session:
    result = Session(bundle.check_graph("decoder"))
    monkeypatch.setattr(result, "_session", NeverRun())
    return result


GOOD = latent(1, CHANNELS, 2, 2)
BAD_INPUTS = {
    "another name": ({"z": GOOD}, r"takes \['latent'\], got \['z'\]"),
    "no input": ({}, r"takes \['latent'\], got \[\]"),
    "one input more": ({"latent": GOOD, "z": GOOD}, r"got \['latent', 'z'\]"),
    "doubles": ({"latent": GOOD.astype(np.float64)}, "latent is float32, got float64"),
    "levels": ({"latent": GOOD.astype(np.uint8)}, "latent is float32, got uint8"),
    "other byte order": ({"latent": GOOD.astype(">f4")}, "latent is float32, got >f4"),
    "no batch": (
        {"latent": GOOD[0]},
        r"latent has shape \[batch, 4, height, width\], got \[4, 2, 2\]",
    ),
    "other channels": ({"latent": GOOD[:, :3]}, r"got \[1, 3, 2, 2\]"),
    "channels last": ({"latent": GOOD.transpose(0, 2, 3, 1)}, r"got \[1, 2, 2, 4\]"),
    "a large batch": (
        {"latent": latent(9, CHANNELS, 1, 1)},
        "batch is 9, the graph takes 1 to 8",
    ),
    "an empty batch": ({"latent": GOOD[:0]}, "batch is 0, the graph takes 1 to 8"),
    "a wide picture": ({"latent": latent(1, CHANNELS, 1, 9)}, "width is 9"),
    "a high picture": ({"latent": latent(1, CHANNELS, 9, 1)}, "height is 9"),
}


@pytest.mark.parametrize(("inputs", "match"), BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_what_the_manifest_does_not_allow_is_refused_before_the_graph_runs(
    unrunnable, inputs, match
):
    with pytest.raises(UsageError, match=match) as caught:
        unrunnable.run(inputs)
    assert str(caught.value).startswith("decoder.onnx: ")


def test_a_size_that_does_not_fit_in_memory_is_refused_before_the_graph_runs(
    unrunnable, monkeypatch
):
    needed = unrunnable.graph.activation_bytes * 2 * 3 * 4
    memory = psutil.virtual_memory()._replace(available=needed - 1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(ResourceError, match=r"decoder\.onnx: running at this size needs"):
        unrunnable.run({"latent": latent(2, CHANNELS, 3, 4)})


def test_float16_is_forecast_as_the_float32_that_the_processor_computes_in(unrunnable, monkeypatch):
    mixed = unrunnable.graph.model_copy(update={"precision": "fp16"})
    monkeypatch.setattr(unrunnable, "graph", mixed)
    needed = 2 * 2 * mixed.activation_bytes * 2 * 3 * 4
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=needed - 1))
    with pytest.raises(ResourceError, match="running at this size needs"):
        unrunnable.run({"latent": latent(2, CHANNELS, 3, 4)})


def test_an_attention_is_forecast_by_its_pairs_of_positions(unrunnable, monkeypatch):
    graph = unrunnable.graph.model_copy(update={"attention_bytes": 1000})
    monkeypatch.setattr(unrunnable, "graph", graph)
    needed = 2 * (2 * graph.activation_bytes * 3 * 4 + 1000 * (3 * 4) ** 2)
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=needed - 1))
    with pytest.raises(ResourceError, match="running at this size needs"):
        unrunnable.run({"latent": latent(2, CHANNELS, 3, 4)})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=needed))
    with pytest.raises(BundleError, match="the graph was run"):
        unrunnable.run({"latent": latent(2, CHANNELS, 3, 4)})


def test_weights_that_do_not_fit_in_memory_are_refused_before_they_are_loaded(bundle, monkeypatch):
    files = bundle.check_graph("decoder")
    memory = psutil.virtual_memory()._replace(available=100)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(load_onnxruntime(), "InferenceSession", NeverRun)
    with pytest.raises(ResourceError, match=r"decoder\.onnx: loading its weights needs"):
        Session(files)


# --------------------------------------------------------------------------------- results


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_result_that_is_not_finite_is_an_error(session, value):
    bad = GOOD.copy()
    bad[0, 0, 0, 0] = value
    with pytest.raises(ParityError, match=r"decoder\.onnx: output image is not finite"):
        session.run({"latent": bad})


def test_a_session_is_usable_after_an_error(session):
    expected = session.run({"latent": GOOD})["image"]
    with pytest.raises(ParityError):
        session.run({"latent": np.full_like(GOOD, np.inf)})
    np.testing.assert_array_equal(session.run({"latent": GOOD})["image"], expected)


def test_eight_threads_on_one_session_get_what_one_thread_gets(session):
    inputs = [latent(1 + seed % 3, CHANNELS, 4, 1 + seed % 8, seed=seed) for seed in range(48)]
    expected = [session.run({"latent": one})["image"] for one in inputs]
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(lambda one: session.run({"latent": one})["image"], inputs))
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)


def test_the_number_of_threads_inside_an_operator_changes_no_result(bundle, session):
    alone = Session(bundle.check_graph("decoder"), threads=1)
    expected = session.run({"latent": GOOD})["image"]
    np.testing.assert_array_equal(alone.run({"latent": GOOD})["image"], expected)


def test_what_runs_is_what_was_checked_even_if_the_file_is_replaced(tmp_path):
    path = write_tiny_bundle(tmp_path / "bundle")
    files = Bundle.open(path).check_graph("decoder")
    expected = Session(files).run({"latent": GOOD})["image"]
    (path / "decoder.onnx").write_bytes(b"something else")
    np.testing.assert_array_equal(Session(files).run({"latent": GOOD})["image"], expected)


# --------------------------------------------------------------------------------- failures


class Failing:
    """ONNX Runtime's session, running out of memory or otherwise."""

    def __init__(self, message: str) -> None:
        self.message = message

    def run(self, *_: object) -> None:
        raise RuntimeError(self.message)


@pytest.mark.parametrize(
    "message",
    ["std::bad_alloc", "Failed to allocate memory for requested buffer", "CUDA: out of memory"],
)
def test_running_out_of_memory_is_a_resource_error(unrunnable, monkeypatch, message):
    monkeypatch.setattr(unrunnable, "_session", Failing(message))
    with pytest.raises(ResourceError, match="not enough memory; try a smaller size"):
        unrunnable.run({"latent": GOOD})


def test_another_failure_is_one_line_with_the_graphs_name(unrunnable, monkeypatch):
    monkeypatch.setattr(unrunnable, "_session", Failing("first line\n  second line"))
    with pytest.raises(BundleError) as caught:
        unrunnable.run({"latent": GOOD})
    assert str(caught.value) == "decoder.onnx: failed: first line second line"


def test_a_graph_that_onnx_runtime_does_not_accept_is_a_bundle_error(tmp_path, capfd):
    path = write_tiny_bundle(tmp_path / "bundle")
    model = (path / "decoder.onnx").read_bytes()
    replace_file(path, "decoder.onnx", model.replace(b"DepthToSpace", b"SpaceToDepth"))
    with pytest.raises(BundleError, match=r"decoder\.onnx: "):
        Session(_unscanned(Bundle.open(path)))
    assert capfd.readouterr() == ("", "")


def _unscanned(bundle: Bundle) -> GraphFiles:
    """The graph's files without the reader's own look at its operators."""
    graph = bundle.manifest.graphs["decoder"]
    return GraphFiles(
        model=(bundle.path / graph.path).read_bytes(),
        path=bundle.path / graph.path,
        data=tuple(bundle.path / name for name in graph.data),
        graph=graph,
    )


# --------------------------------------------------------------------------------- providers


@pytest.mark.parametrize("options", [CudaOptions(), TensorRtOptions()])
def test_a_provider_that_the_build_lacks_is_an_error_and_nothing_else_runs(bundle, options):
    provider = options.provider
    if provider.onnxruntime_name in load_onnxruntime().get_available_providers():
        pytest.skip(f"this ONNX Runtime was built with {provider.onnxruntime_name}")
    with pytest.raises(ProviderError, match=rf"{provider.value}: .* was built without") as caught:
        Session(bundle.check_graph("decoder"), provider=options)
    extra = {Provider.CUDA: "gpu", Provider.TENSORRT: "tensorrt"}[provider]
    assert install_command(extra) in str(caught.value)


def test_a_provider_that_does_not_load_is_an_error_and_nothing_else_runs(bundle, monkeypatch):
    onnxruntime = load_onnxruntime()

    class FellBack(NeverRun):
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FellBack)
    with pytest.raises(ProviderError, match="cuda: ONNX Runtime could not load"):
        Session(bundle.check_graph("decoder"), provider=CudaOptions())


def test_no_onnx_runtime_at_all_is_an_error_that_says_what_to_type(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ProviderError, match=re.escape(install_command("cpu"))):
        Session(bundle.check_graph("decoder"))


def test_a_session_maps_its_weights_from_the_folder_of_the_bundle(tmp_path, monkeypatch):
    path = write_tiny_bundle(tmp_path / "bundle")
    files = Bundle.open(path).check_graph("decoder")
    monkeypatch.chdir(Path(tmp_path.anchor))
    assert Session(files).run({"latent": GOOD})["image"].shape == (1, 3, 4, 4)


def test_a_bound_graph_reads_what_was_written_and_has_the_bits_of_a_run(session):
    given = latent(2, CHANNELS, 3, 4)
    expected = session.run({"latent": given})["image"]
    with session.bound({"batch": 2, "height": 3, "width": 4}) as bound:
        for _ in range(2):
            bound.write("latent", given)
            bound.run()
            assert np.array_equal(bound.outputs["image"].numpy(), expected)
            given, expected = -given, session.run({"latent": -given})["image"]


def test_a_bound_graph_is_for_sizes_that_the_graph_takes(session):
    with (
        pytest.raises(UsageError, match="batch is 9, the graph takes 1 to 8"),
        session.bound({"batch": 9, "height": 2, "width": 2}),
    ):
        pass


def test_recorded_graphs_keep_their_places_and_nobody_shares_one(session):
    graphs = BoundGraphs(
        session._session, session.graph, device=session.device, records=True, failure=AssertionError
    )
    axes = {"batch": 1, "height": 2, "width": 2}
    with graphs.take(axes) as first, graphs.take(axes) as second:
        assert first is not second
        numbers = [one._options.get_run_config_entry("gpu_graph_id") for one in (first, second)]
        # 0 is what ONNX Runtime takes for runs without a number.
        assert numbers == ["1", "2"]
    with graphs.take(axes) as again, graphs.take({**axes, "batch": 2}) as larger:
        assert again in (first, second)
        assert larger.inputs["latent"].shape()[0] == 2


@pytest.mark.parametrize("records", [True, False])
def test_recording_sessions_take_turns_and_others_do_not_wait(bundle, session, records):
    other = Session(bundle.check_graph("decoder"))
    first, second = (
        BoundGraphs(
            one._session, one.graph, device=one.device, records=records, failure=AssertionError
        )
        for one in (session, other)
    )
    has_begun = threading.Event()

    def run() -> None:
        with second.take({"batch": 1, "height": 2, "width": 2}):
            has_begun.set()

    with ThreadPoolExecutor(1) as pool:
        with first.take({"batch": 1, "height": 2, "width": 2}):
            running = pool.submit(run)
            assert has_begun.wait(0.2 if records else 10) is not records
        running.result(10)
    assert has_begun.is_set()
