"""Networks of the published sizes through the whole exporter: minutes and gigabytes, so run on purpose."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from export_factory import photographs

from dcae_export.bundle.reader import Bundle
from dcae_export.evaluation.parity_matrix import Runtime, measure
from dcae_export.export.exporter import export
from dcae_export.export.options import ExportOptions
from dcae_export.models.weights import AutoencoderCheckpoint, load_autoencoder, random_checkpoint
from dcae_export.parity import FP32, difference
from dcae_export.pictures.pixels import to_tensor
from dcae_export.runtime.session import Session

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIDE_PIXELS = 512


@pytest.fixture(scope="module", params=["f32", "f64"])
def exported(request, tmp_path_factory) -> Iterator[tuple[AutoencoderCheckpoint, Path]]:
    """A dynamic bundle of gigabytes, which pytest would keep after the test."""
    folder = tmp_path_factory.mktemp("full-size")
    checkpoint = random_checkpoint(request.param, seed=0)
    yield checkpoint, export(checkpoint, folder / "bundle", ExportOptions())
    shutil.rmtree(folder)


@torch.no_grad()
def test_a_photograph_is_encoded_and_decoded_as_pytorch_does(exported):
    checkpoint, path = exported
    bundle, network = Bundle.open(path), load_autoencoder(checkpoint)
    image = to_tensor(photographs(1, SIDE_PIXELS, SIDE_PIXELS))
    latent = network.encode(torch.from_numpy(image))
    picture = network.decode(latent).numpy()
    encoded = Session(bundle.check_graph("encoder")).run({"image": image})["latent"]
    found = difference(encoded, latent.numpy())
    assert found.within(FP32), f"encoder: {found}"
    decoded = Session(bundle.check_graph("decoder")).run({"latent": latent.numpy()})["image"]
    found = difference(decoded, picture)
    assert found.within(FP32), f"decoder: {found}"


def test_onnx_runtime_and_openvino_reproduce_the_golden_arrays(exported):
    _, path = exported
    measured = measure(Bundle.open(path), [Runtime.CPU, Runtime.OPENVINO])
    assert len(measured) == 4
    for one in measured:
        assert one.passed, f"{one.graph} on {one.runtime}: {one.difference}"


def test_weights_of_gigabytes_are_outside_the_graphs(exported):
    checkpoint, path = exported
    manifest = Bundle.open(path).manifest
    weight_bytes = sum(tensor.nbytes for tensor in checkpoint.state.values())
    data_bytes = 0
    for graph in manifest.graphs.values():
        assert graph.data
        data_bytes += sum(manifest.files[name].bytes for name in graph.data)
        assert manifest.files[graph.path].bytes < weight_bytes / 100
    # A downsampling convolution is held four times, once for each phase; the rest stays as large.
    assert 0.99 * weight_bytes < data_bytes < 1.2 * weight_bytes


@pytest.mark.parametrize("graph", ["encoder", "decoder"])
def test_the_simplifier_and_the_gate_saw_each_graph(exported, graph):
    manifest = Bundle.open(exported[1]).manifest
    assert [one.outcome for one in manifest.simplification if one.graph == graph] == ["used"]
    assert sum(one.graph == graph for one in manifest.parity) == 3
