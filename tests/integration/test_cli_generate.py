"""``dcae generate`` and ``dcae samplers`` as a user runs them, on tiny random networks."""

import json
from pathlib import Path

import numpy as np
import pytest
from autoencoders import small_checkpoint
from export_factory import TINY
from program import dcae_without_torch as dcae
from transformers_factory import GRID, SCALED_LINEAR, TINY_UVIT, tiny_transformer

from dcae_export.export.exporter import TransformerExport, export
from dcae_export.export.options import ExportOptions
from dcae_export.pictures.picture_file import read_picture, write_picture
from dcae_export.runtime.pipeline import Pipeline

pytestmark = pytest.mark.integration

HEIGHT, WIDTH = (side * TINY.downsample for side in GRID)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    transformer = tiny_transformer(TINY_UVIT, SCALED_LINEAR, sampler="ddim:3")
    return export(
        small_checkpoint(TINY, seed=3),
        tmp_path_factory.mktemp("generate") / "bundle",
        ExportOptions(),
        transformer=TransformerExport(
            checkpoint=transformer, class_names=tuple(f"name {i}" for i in range(10))
        ),
    )


def test_several_labels_become_one_sheet_and_the_weights_are_called_random(bundle, tmp_path):
    out = tmp_path / "sheet.png"
    result = dcae("generate", bundle, "--label", "3", "--label", "name 4", "--out", out)
    assert "random weights" in result.stderr
    assert result.stdout.strip() == str(out)
    sheet = read_picture(out)
    assert sheet.shape == (HEIGHT, 2 * WIDTH + 4, 3)
    expected = Pipeline.open(bundle).generate([3, 4], seed=0)
    assert np.array_equal(sheet[:, :WIDTH], expected[0])
    assert np.array_equal(sheet[:, WIDTH + 4 :], expected[1])


def test_each_picture_is_a_file_named_after_label_and_seed(bundle, tmp_path):
    arguments = ("--label", "3", "--count", "2", "--seed", "9", "--each", "--json")
    result = dcae("generate", bundle, *arguments, "--out", tmp_path / "each")
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == ["3-10.png", "3-9.png"]
    content = json.loads(result.stdout)
    assert content["seeds"] == [9, 10]
    assert content["sampler"] == "ddim:3"
    assert content["random_weights"] is True
    dcae("generate", bundle, *arguments, "--out", tmp_path / "each", status=3)


def test_a_picture_is_varied_whatever_its_size(bundle, tmp_path):
    rng = np.random.default_rng(0)
    write_picture(tmp_path / "photo.png", rng.integers(0, 256, (30, 50, 3), dtype=np.uint8))
    out = tmp_path / "variation.png"
    dcae(
        *("generate", bundle, "--from", tmp_path / "photo.png", "--strength", "0.5"),
        *("--label", "3", "--out", out),
    )
    assert read_picture(out).shape == (HEIGHT, WIDTH, 3)


def test_noise_from_a_file_takes_the_seeds_place(bundle, tmp_path):
    noise = np.random.default_rng(1).standard_normal((1, 4, *GRID)).astype(np.float32)
    np.save(tmp_path / "noise.npy", noise)
    out = tmp_path / "out.png"
    dcae("generate", bundle, "--label", "3", "--latents", tmp_path / "noise.npy", "--out", out)
    expected = Pipeline.open(bundle).generate([3], latents=noise)
    assert np.array_equal(read_picture(out), expected[0])


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--sampler", "euler:4"), 2, "this bundle has ddim:3"),
        (("--label", "99"), 2, "labels are 0 to 9"),
        (("--memory-limit", "1kB"), 6, "no size fits"),
        (("--size", "64"), 2, f"this bundle makes {WIDTH}x{HEIGHT}"),
        (("--latents", "missing.npy"), 3, "missing.npy"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_leaves_nothing(
    bundle, tmp_path, arguments, status, message
):
    out = tmp_path / "out.png"
    result = dcae("generate", bundle, *arguments, "--out", out, status=status)
    assert message in result.stderr.splitlines()[-1]
    assert not out.exists()


def test_samplers_are_listed_and_added_and_the_bundle_stays_whole(bundle, tmp_path):
    assert "ddim:3" in dcae("samplers", bundle).stdout
    before = (bundle / "manifest.json").read_bytes()
    dcae("samplers", bundle, "--add", "euler:4", status=2)
    dcae("samplers", bundle, "--add", "nonsense:4", status=2)
    dcae("samplers", bundle, "--default", "dpmpp-2m:4", status=2)
    assert (bundle / "manifest.json").read_bytes() == before
    try:
        added = dcae("samplers", bundle, "--add", "dpmpp-2m:4", "--json").stdout
        assert json.loads(added)["samplers"] == {"ddim:3": 3, "dpmpp-2m:4": 4}
        grown = (bundle / "manifest.json").read_bytes()
        again = dcae("samplers", bundle, "--add", "dpmpp-2m:4", "--add", "ddim:3")
        for name in ("dpmpp-2m:4", "ddim:3"):
            assert f"dcae: --add {name}: was there already\n" in again.stderr
        assert (bundle / "manifest.json").read_bytes() == grown
        dcae("verify", bundle)
        out = tmp_path / "out.png"
        dcae("generate", bundle, "--label", "1", "--sampler", "dpmpp-2m:4", "--out", out)
        assert out.exists()
    finally:
        (bundle / "manifest.json").write_bytes(before)


def test_a_bundle_without_a_transformer_says_so(tmp_path):
    plain = export(small_checkpoint(TINY), tmp_path / "plain", ExportOptions())
    result = dcae("generate", plain, "--label", "1", "--out", tmp_path / "out.png", status=3)
    assert "holds no transformer" in result.stderr
    dcae("samplers", plain, status=2)


def test_inspect_names_the_transformer_and_its_samplers(bundle):
    text = dcae("inspect", bundle).stdout
    assert "ddim:3, guidance 1.5" in text
    assert "10 classes, named" in text
