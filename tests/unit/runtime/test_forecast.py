"""What a run is forecast to need, by the provider that computes it."""

import pytest
from bundle_factory import write_tiny_bundle

from dcae_export.bundle.manifest import Graph, Manifest
from dcae_export.bundle.reader import Bundle
from dcae_export.runtime.forecast import run_bytes, weight_bytes
from dcae_export.runtime.provider import Provider

AXES = {"batch": 2, "height": 3, "width": 4}
MATRIX = 1000


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    folder = tmp_path_factory.mktemp("forecast")
    return Bundle.open(write_tiny_bundle(folder / "bundle")).manifest


def graph_in(manifest: Manifest, precision: str) -> Graph:
    changes = {"precision": precision, "attention_bytes": MATRIX}
    return manifest.graphs["decoder"].model_copy(update=changes)


@pytest.mark.parametrize(
    ("precision", "provider", "times"),
    [
        ("fp32", Provider.CPU, 1),
        ("fp32", Provider.CUDA, 1),
        ("fp16", Provider.CUDA, 1),
        ("fp16", Provider.TENSORRT, 1),
        # Which computes float16 in float32.
        ("fp16", Provider.CPU, 2),
    ],
)
def test_weights_and_activations_count_as_what_the_provider_makes_of_them(
    manifest, precision, provider, times
):
    graph = graph_in(manifest, precision)
    stored = sum(manifest.files[path].bytes for path in (graph.path, *graph.data))
    assert weight_bytes(manifest, graph, provider=provider) == times * stored
    # Both layouts; the attention's matrix is float32 in every graph.
    activations = 2 * times * graph.activation_bytes * 2 * 3 * 4
    assert run_bytes(graph, AXES, provider=provider) == activations + 2 * MATRIX * (3 * 4) ** 2


def test_inputs_and_outputs_are_float32_already(manifest):
    graph = graph_in(manifest, "fp16").model_copy(update={"activation_bytes": 0})
    wide = graph_in(manifest, "fp32").model_copy(update={"activation_bytes": 0})
    assert run_bytes(graph, AXES, provider=Provider.CPU) == run_bytes(
        wide, AXES, provider=Provider.CPU
    )
