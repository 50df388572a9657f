import dataclasses
import re
import shutil

import pytest
import torch
from autoencoders import small_checkpoint
from demo_stand_in import ship_stand_in
from export_factory import TINY
from safetensors.torch import load_file
from stored_tensors import rewrite

from dcae_export.errors import WeightsError
from dcae_export.files.sha256 import sha256
from dcae_export.models import shipped
from dcae_export.models.autoencoder import ResStage
from dcae_export.models.key_map import Layout
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.source import resolve, resolve_transformer, shipped_transformer
from dcae_export.models.transformer_presets import BACKBONES
from dcae_export.models.weights import save_checkpoint

NAME = shipped.AUTOENCODER_NAME
_FILE_ROW = re.compile(r"^\| `([^`]+)` \| (\d+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def shipped_model(demo_folder, tmp_path):
    return ship_stand_in(demo_folder, tmp_path / "runs")


def rounded(state):
    return {
        key: one.half().float() if one.is_floating_point() else one for key, one in state.items()
    }


def assert_same(state, expected):
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in state)


@pytest.mark.parametrize("variant", ["f64-demo", NAME])
def test_the_shipped_autoencoder_is_the_trained_one_in_float16(shipped_model, tmp_path, variant):
    trained = resolve(str(tmp_path / "runs" / "phase3"), variant=None)
    checkpoint = resolve(None, variant=variant)
    assert (checkpoint.preset, checkpoint.source) == (NAME, "dcae_export/demo/autoencoder")
    assert checkpoint.licence == "apache-2.0"
    assert checkpoint.config == trained.config == TINY
    assert not checkpoint.has_random_weights
    assert_same(checkpoint.state, rounded(trained.state))
    stored = load_file(shipped_model / "autoencoder" / WEIGHTS)
    assert {one.dtype for one in stored.values()} == {torch.float16, torch.int64}


def test_the_shipped_transformer_goes_with_the_shipped_autoencoder(shipped_model, tmp_path):
    trained = resolve_transformer(str(tmp_path / "runs" / "usit"), name=None, autoencoder=None)
    checkpoint = shipped_transformer()
    assert checkpoint.preset == "dc-ae-f64c64-demo-usit-demo"
    assert checkpoint.source == "dcae_export/demo/transformer"
    assert checkpoint.licence == "apache-2.0"
    assert (checkpoint.class_names, checkpoint.default_sampler) == (trained.class_names, "ddim:3")
    assert_same(checkpoint.state, rounded(trained.state))
    assert checkpoint.trained_on == LatentSource.of(resolve(None, variant="f64-demo"))
    assert checkpoint.trained_on != trained.trained_on


@pytest.mark.usefixtures("shipped_model")
def test_the_shipped_transformer_has_a_name(monkeypatch):
    monkeypatch.setitem(BACKBONES, "usit-demo", BACKBONES["uvit-s"])
    found = resolve_transformer(None, name="usit-demo", autoencoder="f64-demo")
    assert found.sha256 == shipped_transformer().sha256


@pytest.mark.usefixtures("demo_folder")
@pytest.mark.parametrize(
    "load", [lambda: resolve(None, variant="f64-demo"), shipped_transformer, shipped.shipped_digest]
)
def test_a_copy_without_the_demo_model_says_the_ways_on(load):
    with pytest.raises(WeightsError, match=r"no demo model.* make demo-model trains it; or name"):
        load()


@pytest.mark.usefixtures("demo_folder")
def test_random_weights_of_the_demo_model_need_no_file():
    assert resolve("random:0", variant="f64-demo").has_random_weights


@pytest.mark.parametrize("part", ["autoencoder", "transformer"])
def test_each_shipped_tensor_has_to_be_there(shipped_model, part):
    rewrite(shipped_model / part / WEIGHTS, lambda tensors: tensors.pop(min(tensors)))
    with pytest.raises(WeightsError, match="is missing"):
        resolve(None, variant="f64-demo") if part == "autoencoder" else shipped_transformer()


def test_an_autoencoder_of_another_graph_is_refused(shipped_model):
    deeper = dataclasses.replace(
        TINY,
        encoder=dataclasses.replace(
            TINY.encoder, stages=(ResStage(width=16, depth=2), *TINY.encoder.stages[1:])
        ),
    )
    shutil.rmtree(shipped_model / "autoencoder")
    save_checkpoint(
        small_checkpoint(deeper), shipped_model / "autoencoder", layout=Layout.DIFFUSERS
    )
    with pytest.raises(WeightsError, match=f"is no {NAME}; install dcae-export again"):
        resolve(None, variant="f64-demo")


def test_the_digest_is_that_of_the_networks_files(shipped_model):
    before = shipped.shipped_digest()
    (shipped_model / "autoencoder" / "README.md").write_text("another text")
    assert shipped.shipped_digest() == before
    rewrite(
        shipped_model / "transformer" / WEIGHTS,
        lambda tensors: tensors.update({min(tensors): tensors[min(tensors)] + 1}),
    )
    assert shipped.shipped_digest() != before


def test_what_this_package_ships_is_whole_and_small():
    if not shipped.FOLDER.is_dir():
        pytest.skip("this checkout has no demo model")
    autoencoder, transformer = resolve(None, variant="f64-demo"), shipped_transformer()
    assert transformer.trained_on == LatentSource.of(autoencoder)
    assert transformer.config.in_channels == autoencoder.config.latent_channels
    files = {
        path.relative_to(shipped.FOLDER).as_posix(): path
        for path in shipped.FOLDER.rglob("*")
        if path.is_file()
    }
    assert sum(path.stat().st_size for path in files.values()) <= shipped.MAX_BYTES
    told = _FILE_ROW.findall(files["README.md"].read_text(encoding="utf-8"))
    assert {name for name, _, _ in told} == files.keys() - {"README.md"}
    for name, size, digest in told:
        with files[name].open("rb") as file:
            assert (files[name].stat().st_size, sha256(file)) == (int(size), digest)
