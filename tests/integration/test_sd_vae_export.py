"""SD-VAE through the whole exporter: graphs against PyTorch, what is in them, and the forecast of their memory."""

import subprocess
import sys
from collections import Counter

import numpy as np
import psutil
import pytest
import torch
from autoencoders import TINY_SD_VAE, random_input, small_checkpoint
from export_factory import photographs
from exported_bundles import Exported, count, exported_once

from dcae_export.errors import ResourceError
from dcae_export.evaluation.parity_matrix import Runtime, measure
from dcae_export.export.options import ExportOptions
from dcae_export.models.weights import random_checkpoint
from dcae_export.parity import FP32, UINT8, difference
from dcae_export.pictures.pixels import to_tensor, to_uint8
from dcae_export.runtime.autoencoder import Autoencoder

pytestmark = pytest.mark.integration

FACTOR = TINY_SD_VAE.downsample
GRIDS = [(1, 1), (2, 2), (5, 3)]
STATIC_GRID = (3, 4)
OPTIONS = {
    "dynamic": ExportOptions(),
    "static": ExportOptions(size=(STATIC_GRID[0] * FACTOR, STATIC_GRID[1] * FACTOR), batch=2),
    "cuda, image io": ExportOptions(target="cuda", image_io=True),
}
FLOAT = 4


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> dict[str, Exported]:
    checkpoint = small_checkpoint(TINY_SD_VAE, seed=1)
    return {
        name: exported_once(tmp_path_factory.mktemp("sd-vae"), checkpoint, options)
        for name, options in OPTIONS.items()
    }


@pytest.fixture
def dynamic(bundles) -> Exported:
    return bundles["dynamic"]


@pytest.fixture
def static(bundles) -> Exported:
    return bundles["static"]


@torch.no_grad()
def assert_sessions_match(exported: Exported, pictures: np.ndarray) -> None:
    image = to_tensor(pictures)
    expected = exported.network.encode(torch.from_numpy(image)).numpy()
    found = difference(exported.session("encoder").run({"image": image})["latent"], expected)
    assert found.within(FP32), f"encoder, {pictures.shape}: {found}"
    latent = random_input(*expected.shape)
    decoded = exported.network.decode(latent).numpy()
    found = difference(
        exported.session("decoder").run({"latent": latent.numpy()})["image"], decoded
    )
    assert found.within(FP32), f"decoder, {pictures.shape}: {found}"


# ---------------------------------------------------------------------------------------------- parity


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_dynamic_graphs_compute_what_diffusers_does_at_every_size_and_batch(dynamic, grid, batch):
    assert_sessions_match(dynamic, photographs(batch, *(FACTOR * side for side in grid)))


def test_static_graphs_compute_what_diffusers_does_at_their_size(static):
    assert_sessions_match(static, photographs(2, *(FACTOR * side for side in STATIC_GRID)))


@pytest.mark.parametrize("name", OPTIONS)
def test_openvino_and_the_reference_evaluator_agree_on_an_sd_vae(bundles, name):
    measured = measure(bundles[name].bundle, [Runtime.OPENVINO, Runtime.REFERENCE])
    assert len(measured) == 4
    for one in measured:
        assert one.passed, f"{one.graph} on {one.runtime}: {one.difference}"


@pytest.mark.parametrize("name", ["dynamic", "cuda, image io"])
@torch.no_grad()
def test_a_photograph_comes_back_as_it_does_from_diffusers(bundles, name):
    exported = bundles[name]
    picture = photographs(1, 12, 10)
    expected = to_uint8(exported.network(torch.from_numpy(to_tensor(picture))).numpy())
    autoencoder = Autoencoder.open(exported.bundle.path, threads=1)
    found = difference(autoencoder.reconstruct(picture), expected)
    assert found.within(UINT8), str(found)


# --------------------------------------------------------------------------------------------- content

# Two blocks a stage, two around the attention; three a stage in the decoder.
BLOCKS = {"encoder": 2 * 2 + 2, "decoder": 3 * 2 + 2}


# Mean and variance, each along the rows and over a group; what each channel takes of its group's; x - mean.
GROUP_NORM = Counter(
    ReduceMean=4, Reshape=2, Gather=2, Sub=1, Pow=1, Add=2, Sqrt=1, Reciprocal=1, Mul=2
)
SILU = Counter(Sigmoid=1, Mul=1)
CONV = Counter(Conv=1)
# Norm; queries, keys and values; scores, weights, sums; back to the grid; projection; shortcut.
ATTENTION = Counter(Conv=2, Reshape=2, Split=1, Transpose=3, MatMul=2, Softmax=1, Add=1)
# The encoder halves and splits off the mean; the decoder doubles with one convolution for each phase.
RESAMPLING = {
    "encoder": Counter(Conv=1, Split=1),
    "decoder": Counter(Conv=4, Concat=1, DepthToSpace=1),
}


def times(count: int, part: Counter[str]) -> Counter[str]:
    return Counter({operator: count * number for operator, number in part.items()})


@pytest.mark.parametrize("name", BLOCKS)
def test_a_static_graph_holds_nothing_but_its_layers(static, name):
    blocks = times(BLOCKS[name], GROUP_NORM + SILU + CONV + GROUP_NORM + SILU + CONV)
    # First and last, the latent's 1x1, and a block's shortcut where the width changes.
    outer = times(4, CONV) + GROUP_NORM + SILU
    expected = blocks + times(BLOCKS[name], Counter(Add=1)) + GROUP_NORM + ATTENTION + outer
    assert count(static.model(name)) == expected + RESAMPLING[name]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_dynamic_graph_differs_by_one_shape(dynamic, static, name):
    assert count(dynamic.model(name)) == count(static.model(name)) + Counter(Shape=1)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", BLOCKS)
def test_the_attention_is_matrix_products_and_a_softmax_at_every_operator_set(
    bundles, options, name
):
    operators = count(bundles[options].model(name))
    assert operators["MatMul"] == 2
    assert operators["Softmax"] == 1
    assert not {"Attention", "Resize", "Pad"} & set(operators)


def test_the_manifest_holds_the_latent_of_the_network(dynamic):
    latent = dynamic.bundle.manifest.latent
    assert (latent.channels, latent.downsample) == (4, FACTOR)
    assert (latent.scaling_factor, latent.shift) == (0.5, 0.0)


# -------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("name", BLOCKS)
def test_the_manifest_counts_the_attention_matrix_by_pairs_of_positions(dynamic, static, name):
    graphs = dynamic.bundle.manifest.graphs, static.bundle.manifest.graphs
    batch, positions = 2, STATIC_GRID[0] * STATIC_GRID[1]
    assert graphs[0][name].attention_bytes == FLOAT
    assert graphs[1][name].attention_bytes == FLOAT * batch * positions**2


def test_a_picture_whose_attention_does_not_fit_is_refused_before_the_graph_runs(
    dynamic, monkeypatch
):
    session = dynamic.session("decoder")
    # The grid of sd-f8 at 2048 px: 65536 positions, whose matrix alone takes 16 GiB.
    side = 2048 // 8
    memory = psutil.virtual_memory()._replace(available=FLOAT * side**4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    latent = np.zeros((1, TINY_SD_VAE.latent_channels, side, side), np.float32)
    with pytest.raises(ResourceError, match=r"needs 1[67]\.\d GiB of memory, 16\.0 GiB are there"):
        session.run({"latent": latent})


# Prints what a run added to the process at its peak, in bytes: Linux counts in kB.
MEASURE = """
import sys
from pathlib import Path
import numpy as np
from dcae_export.bundle.reader import Bundle
from dcae_export.runtime.session import Session

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))

session = Session(Bundle.open(sys.argv[1]).check_graph("encoder"), threads=1)
image = np.zeros((1, 3, int(sys.argv[2]), int(sys.argv[2])), np.float32)
before = status("VmRSS")
session.run({"image": image})
print(status("VmHWM") - before)
"""
# Blocks of the arena that are not filled, and what matrix products keep for themselves.
SLACK = 1.1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_whose_attention_is_large_takes_what_was_forecast(dynamic):
    side = 96
    graph = dynamic.bundle.manifest.graphs["encoder"]
    forecast = 2 * graph.activation_bytes * side**2 + graph.attention_bytes * side**4
    assert graph.attention_bytes * side**4 > 0.75 * forecast
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(dynamic.bundle.path), str(FACTOR * side)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert forecast / 2 < int(result.stdout) < SLACK * forecast


# ----------------------------------------------------------------------------------------- full size


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["sd-f8", "sd-f32", "sd-f64"])
def test_baselines_of_full_size_compute_what_diffusers_does_at_256_pixels(variant, spacious_folder):
    checkpoint = random_checkpoint(variant, seed=0)
    exported = exported_once(spacious_folder, checkpoint, ExportOptions())
    assert_sessions_match(exported, photographs(1, 256, 256))
