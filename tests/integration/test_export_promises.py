"""What an export promises: the same bytes twice, nothing without its proof, nothing half done."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import psutil
import pytest
import torch
from autoencoders import small_checkpoint
from bundle_factory import write_tiny_bundle
from export_factory import TINY, files, photographs

from dcae_export.bundle.reader import Bundle
from dcae_export.bundle.writer import BundleWriter
from dcae_export.errors import DcaeError, ExportError, ParityError, ResourceError
from dcae_export.export import exporter, graph_export
from dcae_export.export.exporter import export
from dcae_export.export.options import ExportOptions
from dcae_export.export.rewrite import rewrite_module
from dcae_export.export.simplify import Simplified
from dcae_export.export.target import TARGETS
from dcae_export.models.network import build
from dcae_export.models.presets import PRESETS
from dcae_export.models.weights import AutoencoderCheckpoint
from dcae_export.runtime.autoencoder import Autoencoder

pytestmark = pytest.mark.integration

TESTS = Path(__file__).parents[1]
SIZE = (2 * TINY.downsample, 3 * TINY.downsample)

# Arguments: target, simplifier, stage to stop at. Weights go outside the .onnx, as those of a full size do.
EXPORT = """
import sys, time
from pathlib import Path
from autoencoders import small_checkpoint
from export_factory import TINY
from dcae_export.export import exporter, save
from dcae_export.export.options import ExportOptions

target, simplifier, last = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
save.EXTERNAL_FROM_BYTES, save.INLINE_BYTES = 0, 2**10

def progress(stage):
    print(stage, flush=True)
    if stage == last:
        time.sleep(600)

exporter.export(
    small_checkpoint(TINY, seed=1), target, ExportOptions(simplifier=simplifier),
    force=True, progress=progress,
)
"""


def start_export(
    target: Path, *, simplifier: str = "onnxsim", last: str = "", seed: int = 0
) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", EXPORT, str(target), simplifier, last],
        env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": str(seed)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> tuple[Path, Path]:
    """Two bundles of the same weights and options, each from a process of its own."""
    folder = tmp_path_factory.mktemp("exports")
    targets = (folder / "first", folder / "second")
    children = [start_export(target, seed=seed) for seed, target in enumerate(targets, start=1)]
    assert [child.wait() for child in children if child.communicate()] == [0, 0]
    return targets


@pytest.fixture(scope="module")
def bundle(exports) -> Path:
    return exports[0]


@pytest.fixture
def checkpoint() -> AutoencoderCheckpoint:
    return small_checkpoint(TINY, seed=1)


@pytest.fixture
def old(tmp_path) -> Path:
    """A bundle that stands where the export goes."""
    return write_tiny_bundle(tmp_path / "place" / "bundle")


@pytest.fixture
def traced(monkeypatch, bundle) -> Callable[..., None]:
    """Let exports take their traces from the finished bundle, each changed by ``damage``: no seconds of tracing."""

    def install(damage: Callable[[ir.Model], object] = lambda _: None) -> None:
        def trace(module, example, signature, *, target) -> ir.Model:
            name = "encoder" if signature.inputs[0].name == "image" else "decoder"
            model = ir.external_data.load_to_model(ir.load(bundle / f"{name}.onnx"))
            damage(model)
            return model

        monkeypatch.setattr(graph_export, "trace", trace)

    return install


def change_a_weight(model: ir.Model) -> None:
    value = next(v for v in model.graph.initializers.values() if len(v.const_value.shape) == 4)
    changed = value.const_value.numpy().copy()
    changed.flat[0] += 1
    value.const_value = ir.tensor(changed, name=value.name)


NO_SIMPLIFIER = ExportOptions(simplifier="none")


# -------------------------------------------------------------------- P17: byte-identical


def test_two_exports_in_fresh_processes_give_the_same_bytes(exports):
    first, second = (files(target) for target in exports)
    assert {name for name in first if name.endswith(".data")} == {
        "decoder.onnx.data",
        "encoder.onnx.data",
    }
    manifests = [json.loads(content.pop("manifest.json")) for content in (first, second)]
    assert first == second
    for manifest in manifests:
        del manifest["producer"]["time"]
    assert manifests[0] == manifests[1]


# --------------------------------------------------------------- P9: parity before publication


def test_every_case_of_the_gate_has_a_record_that_it_passed(bundle):
    manifest = Bundle.open(bundle).manifest
    f, z = TINY.downsample, TINY.latent_channels
    cases = {"picture": (1, 2, 3), "noise": (2, 3, 2), "noise, smallest": (1, 1, 1)}
    expected = [
        ("encoder", f"{name} {[batch, 3, f * rows, f * columns]}")
        for name, (batch, rows, columns) in cases.items()
    ] + [
        ("decoder", f"{name} {[batch, z, rows, columns]}")
        for name, (batch, rows, columns) in cases.items()
    ]
    assert [(record.graph, record.input) for record in manifest.parity] == expected
    for record in manifest.parity:
        assert record.verdict == "passed"
        assert record.relative_l2 <= record.tolerance.relative_l2
        assert record.reference == f"PyTorch {torch.__version__} float32"
        assert record.runtime.startswith("ONNX Runtime ")


@pytest.mark.parametrize("graph", ["encoder", "decoder"])
def test_a_graph_that_computes_something_else_is_not_published(old, checkpoint, traced, graph):
    port = "image" if graph == "encoder" else "latent"

    def damage(model: ir.Model) -> None:
        if model.graph.inputs[0].name == port:
            change_a_weight(model)

    traced(damage)
    before = files(old)
    with pytest.raises(ParityError, match=rf"{graph}\.onnx: .* at \["):
        export(checkpoint, old, NO_SIMPLIFIER, force=True)
    assert files(old) == before
    assert_nothing_staged(old)


def test_a_simplifier_that_loses_parity_loses_no_graph(tmp_path, checkpoint, traced, monkeypatch):
    def simplify(model: ir.Model, *, simplifier: str) -> Simplified:
        damaged = model.clone()
        change_a_weight(damaged)
        num_nodes = len(list(model.graph))
        return Simplified(
            model=damaged,
            used=True,
            outcome="used",
            nodes_before=num_nodes,
            nodes_after=num_nodes - 1,
        )

    traced()
    monkeypatch.setattr(graph_export, "simplify", simplify)
    export(checkpoint, tmp_path / "bundle", ExportOptions())
    manifest = Bundle.open(tmp_path / "bundle").manifest
    assert [record.outcome for record in manifest.simplification] == ["onnxsim lost parity"] * 2
    assert all(one.nodes_before == one.nodes_after for one in manifest.simplification)
    assert len(manifest.parity) == 6


# ------------------------------------------------------------------------- P8: no NaN


def spoil(checkpoint: AutoencoderCheckpoint, name: str) -> AutoencoderCheckpoint:
    tensor = checkpoint.state[name].clone()
    tensor.view(-1)[-1] = torch.nan
    return dataclasses.replace(checkpoint, state={**checkpoint.state, name: tensor})


@pytest.mark.parametrize(
    "name",
    ["encoder.conv_in.weight", "decoder.norm_out.bias", "decoder.stages.0.1.norm.running_var"],
)
def test_weights_that_are_not_finite_stop_an_export(old, checkpoint, traced, name):
    traced()
    before = files(old)
    with pytest.raises(ExportError, match="not finite"):
        export(spoil(checkpoint, name), old, NO_SIMPLIFIER, force=True)
    assert files(old) == before
    assert_nothing_staged(old)


# ------------------------------------------------------------------------- P2: killed


def assert_nothing_staged(target: Path) -> None:
    assert {path.name for path in target.parent.iterdir()} <= {target.name, f".{target.name}.lock"}


@pytest.mark.parametrize(
    "stage",
    [
        "encoder: tracing",
        "decoder: writing and comparing with PyTorch",
        "hashing and publishing",
    ],
)
def test_a_killed_export_leaves_the_old_bundle(old, stage):
    before = files(old)
    with start_export(old, simplifier="none", last=stage) as child:
        assert child.stdout is not None
        assert any(line.rstrip() == stage for line in child.stdout)
        child.kill()
    assert files(old) == before
    Bundle.open(old).verify()
    staged = [path for path in old.parent.iterdir() if ".staging-" in path.name]
    assert len(staged) == 1
    with BundleWriter(old, force=True):
        assert not staged[0].exists()
    assert files(old) == before


# ------------------------------------------------------------- P18: disk and memory first


def test_a_disk_that_is_too_small_stops_an_export_before_the_work(old, checkpoint, monkeypatch):
    before = files(old)
    usage = shutil.disk_usage(old)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert_stopped_before_the_work(
        checkpoint, old, match=r"needs [0-9.]+ MB of disk, 1\.0 MB are free"
    )
    assert files(old) == before


@pytest.mark.parametrize("name", PRESETS)
def test_the_disk_that_is_asked_for_holds_the_folded_weights_of_every_preset(name):
    with torch.device("meta"):
        network = build(PRESETS[name].config).eval()
    before = sum(tensor.nbytes for tensor in network.state_dict().values())
    for part in (network.encoder, network.decoder):
        rewrite_module(part, TARGETS["generic"])
    after = sum(tensor.nbytes for tensor in network.state_dict().values())
    assert after < exporter.FOLDED_GROWTH * before


def test_a_memory_that_is_too_small_stops_an_export_before_the_work(old, checkpoint, monkeypatch):
    before = files(old)
    memory = psutil.virtual_memory()._replace(available=100_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert_stopped_before_the_work(
        checkpoint,
        old,
        match=r"exporting custom needs [0-9.]+ [GM]iB of memory, 0\.1 MiB are there",
    )
    assert files(old) == before


def assert_stopped_before_the_work(
    checkpoint: AutoencoderCheckpoint, target: Path, *, match: str
) -> None:
    stages: list[str] = []
    with pytest.raises(ResourceError, match=match):
        export(checkpoint, target, NO_SIMPLIFIER, force=True, progress=stages.append)
    assert stages == []
    assert_nothing_staged(target)


def test_an_existing_bundle_is_refused_before_the_work_without_force(old, checkpoint):
    stages: list[str] = []
    with pytest.raises(DcaeError, match="--force"):
        export(checkpoint, old, NO_SIMPLIFIER, progress=stages.append)
    assert stages == []


# ----------------------------------------------------------------- a bundle needs no PyTorch

RECONSTRUCT = """
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "onnx_ir", "onnxscript", "diffusers"}:
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuse())
import numpy
from dcae_export import Autoencoder

bundle, picture, result = sys.argv[1:]
numpy.save(result, Autoencoder.open(bundle).reconstruct(numpy.load(picture)))
"""


def test_a_bundle_reconstructs_where_neither_torch_nor_onnx_can_be_imported(bundle, tmp_path):
    # Sides that are no multiple of the divisor: padded, then cropped back.
    picture = photographs(1, SIZE[0] + 1, SIZE[1] + 1)[0]
    source, result = tmp_path / "picture.npy", tmp_path / "result.npy"
    np.save(source, picture)
    subprocess.run(
        [sys.executable, "-c", RECONSTRUCT, str(bundle), str(source), str(result)], check=True
    )
    expected = Autoencoder.open(bundle).reconstruct(picture)
    assert expected.shape == (1, *picture.shape)
    np.testing.assert_array_equal(np.load(result), expected)
