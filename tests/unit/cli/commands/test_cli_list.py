import json

from dcae_export.models.presets import PRESETS, SHORT_NAMES
from dcae_export.models.transformer_presets import BACKBONES, TRANSFORMERS


def test_every_variant_has_a_row(dcae):
    rows = dcae("list").out.split("\n\n")[0].splitlines()
    assert [row.split()[0] for row in rows] == ["variant", *PRESETS]
    (f64,) = [row for row in rows if " f64 " in row]
    assert f64.startswith(SHORT_NAMES["f64"])


def test_every_published_transformer_has_a_row_and_every_backbone_is_named(dcae):
    _, transformers, backbones = dcae("list").out.split("\n\n")
    rows = [row.split()[0] for row in transformers.splitlines()]
    assert rows == ["transformer", *TRANSFORMERS]
    assert all(name in backbones for name in BACKBONES)
    listed = json.loads(dcae("list", "--json").out)["transformers"]
    assert listed[0] == {
        "name": "dc-ae-f32c32-in-1.0-dit-xl-in-512px",
        "summary": "dit-xl on dc-ae-f32c32-in-1.0, ImageNet at 512 px",
        "autoencoder": "dc-ae-f32c32-in-1.0",
        "sampler": "ddpm:250",
        "guidance": 1.3,
        "repository": "mit-han-lab/dc-ae-f32c32-in-1.0-dit-xl-in-512px",
    }


def test_a_variant_that_nobody_published_says_so(dcae):
    lines = dcae("list").out.splitlines()
    unpublished = [line.split()[0] for line in lines if line.endswith("no public weights")]
    assert unpublished == ["sd-f32", "sd-f64"]
    variants = json.loads(dcae("list", "--json").out)["variants"]
    without = [one["name"] for one in variants if one["repository"] is None and not one["shipped"]]
    assert without == ["sd-f32", "sd-f64"]


def test_the_shipped_variant_says_so(dcae):
    lines = dcae("list").out.splitlines()
    (line,) = [line for line in lines if line.endswith("comes with this package")]
    assert line.split()[:2] == ["dc-ae-f64c64-demo", "f64-demo"]
    variants = json.loads(dcae("list", "--json").out)["variants"]
    assert [one["name"] for one in variants if one["shipped"]] == ["dc-ae-f64c64-demo"]


def test_the_json_has_every_variant(dcae):
    variants = json.loads(dcae("list", "--json").out)["variants"]
    assert [variant["name"] for variant in variants] == list(PRESETS)
    assert variants[3] == {
        "name": "dc-ae-f64c128-in-1.0",
        "short_name": "f64",
        "summary": "64x, 128 channels, ImageNet",
        "downsample": 64,
        "latent_channels": 128,
        "scaling_factor": 0.2889,
        "repository": "mit-han-lab/dc-ae-f64c128-in-1.0",
        "shipped": False,
    }
