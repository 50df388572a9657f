"""The demo model as a user gets it, with tiny networks in its place: shipped, exported, generated with."""

import json
from pathlib import Path

import pytest
from demo_stand_in import SIDES, pass_for_demo, ship_stand_in
from program import run_here

from dcae_export.bundle.reader import Bundle
from dcae_export.models import shipped
from dcae_export.pictures.picture_file import read_picture
from dcae_export.user_cache import cache_root

pytestmark = pytest.mark.integration


@pytest.fixture
def dcae(monkeypatch, tmp_path, capsys):
    """The program in an empty folder, where the package ships a tiny model."""
    folder = tmp_path / "package" / "demo"
    pass_for_demo(monkeypatch, folder)
    ship_stand_in(folder, tmp_path / "runs")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments, status=0):
        result = run_here(capsys, *arguments)
        assert result.status == status, result.err
        return result

    return run


def test_the_demo_model_is_exported_without_a_network_and_generates(dcae):
    dcae("export", "--variant", "f64-demo", "--sampler", "ddim:4", "--sampler", "ddim:3")
    manifest = Bundle.open(shipped.TRANSFORMER_NAME).manifest
    assert manifest.model.weights == "dcae_export/demo/autoencoder"
    assert (manifest.model.preset, manifest.model.licence) == (
        shipped.AUTOENCODER_NAME,
        "apache-2.0",
    )
    assert manifest.model.transformer is not None
    assert manifest.model.transformer.weights == "dcae_export/demo/transformer"
    assert manifest.samplers is not None
    assert list(manifest.samplers.tables) == ["ddim:4", "ddim:3"]
    dcae("parity", shipped.TRANSFORMER_NAME)
    dcae("generate", shipped.TRANSFORMER_NAME, "--label", "ring")
    assert read_picture(Path("ring-0.png")).shape == (SIDES[0], SIDES[0], 3)


def test_without_a_bundle_the_demo_model_draws_and_its_bundle_is_kept(dcae, tmp_path):
    first = dcae("generate", "--label", "ring", "--size", str(SIDES[1]), "--seed", "3")
    assert "making the demo bundle for 16x16, once" in first.err
    assert first.out == "ring-3.png\n"
    assert read_picture(tmp_path / "here" / "ring-3.png").shape == (SIDES[1], SIDES[1], 3)
    again = dcae(
        "generate", "--label", "ring", "--size", str(SIDES[1]), "--seed", "3", "--force", "--json"
    )
    assert again.err == ""
    assert json.loads(again.out)["random_weights"] is False
    (bundle,) = [path for path in (cache_root() / "demo").iterdir() if path.is_dir()]
    dcae("verify", bundle)
    target = next(bundle.glob("*.onnx.data"), bundle / "decoder.onnx")
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)
    damaged = dcae("generate", "--label", "ring", "--size", str(SIDES[1]), "--force", status=4)
    assert str(bundle) in damaged.err or target.name in damaged.err
