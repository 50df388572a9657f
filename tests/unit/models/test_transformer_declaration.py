import json

import pytest
from tiny_diffusion_training import CLASSES, FAMILIES, small_declaration
from transformers_factory import FLOW, LINEAR, SCALED_LINEAR, TINY_DIT, TINY_UVIT

from dcae_export.errors import ConfigError, WeightsError
from dcae_export.models.transformer_declaration import TransformerDeclaration, is_declaration
from dcae_export.models.transformer_presets import TRANSFORMERS


def read(**changes):
    content = json.loads(json.dumps(small_declaration().content()))
    return TransformerDeclaration.read(content | changes)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_declaration_survives_being_written_and_read(family):
    said = small_declaration(family)
    assert TransformerDeclaration.read(json.loads(json.dumps(said.content()))) == said
    assert is_declaration(said.content())


@pytest.mark.parametrize(
    ("config", "diffusion"),
    [(TINY_DIT, LINEAR), (TINY_UVIT, SCALED_LINEAR), (TINY_UVIT, FLOW)],
    ids=["dit", "uvit", "usit"],
)
def test_network_and_diffusion_come_back_whole(config, diffusion):
    own = small_declaration().autoencoder
    said = TransformerDeclaration.of(
        config,
        diffusion,
        default_sampler="ddim:3",
        default_guidance=1.5,
        class_names=None,
        autoencoder=own,
    )
    again = TransformerDeclaration.read(json.loads(json.dumps(said.content())))
    assert (again.config(), again.diffusion(), again.autoencoder) == (config, diffusion, own)


def test_the_other_grids_of_a_training_are_said_where_there_are_some():
    assert "other_grids" not in small_declaration().content()
    said = small_declaration(other_grids=((8, 8), (16, 16)))
    assert said.content()["other_grids"] == [[8, 8], [16, 16]]
    again = TransformerDeclaration.read(json.loads(json.dumps(said.content())))
    assert (again, again.config().grid) == (said, (4, 4))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_published_size_can_be_said(name):
    preset = TRANSFORMERS[name]
    said = TransformerDeclaration.of(
        preset.config,
        preset.diffusion,
        default_sampler=preset.default_sampler,
        default_guidance=preset.default_guidance,
        class_names=None,
        autoencoder=small_declaration().autoencoder,
    )
    assert (said.config(), said.diffusion()) == (preset.config, preset.diffusion)


@pytest.mark.parametrize("content", [{}, {"model_name": "mine"}, {"_class_name": "AutoencoderDC"}])
def test_another_config_json_is_no_declaration(content):
    assert not is_declaration(content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "format 2 of config.json is newer than 1; update dcae-export"),
        ({"width": 2**40}, "config.json: width: Input should be less than or equal to"),
        ({"depth": 2**20}, "config.json: depth: Input should be less than or equal to"),
        ({"grid": [4, 2**20]}, "config.json: grid.1: Input should be less than or equal to"),
        ({"other_grids": [[8, 2**20]]}, "config.json: other_grids.0.1: Input should be less than"),
        ({"other_grids": [[4, 4]]}, "other_grids: one is there twice, or is that of the network"),
        ({"other_grids": [[8, 8], [8, 8]]}, "other_grids: one is there twice"),
        ({"patch": 2, "other_grids": [[8, 6], [8, 5]]}, "a side is no multiple of patch 2"),
        ({"width": 33}, "width 33 is no multiple of its 2 heads"),
        ({"network": "unet"}, "config.json: network: Input should be 'dit' or 'uvit'"),
        ({"learned_variance": True}, "learned_variance: a U-ViT has no channels for it"),
        ({"prediction": "velocity"}, "velocity is predicted over a flow"),
        ({"class_names": ["one"]}, "class_names: 1 for 3 classes"),
        ({"num_classes": None}, "class_names: 3 for 0 classes"),
        ({"class_names": ["a", "b\n", "c"]}, "class_names.1: holds characters that cannot"),
        ({"default_guidance": 1e300}, "default_guidance: Input should be less than"),
        ({"comment": "mine"}, "comment: Extra inputs are not permitted"),
        ({"autoencoder": {}}, "autoencoder.preset: Field required"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_key(changes, message):
    with pytest.raises(WeightsError) as raised:
        read(**changes)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "b", "c\x1b[2J"), "class_names.2: holds characters that cannot be printed"),
        (("a", "b", "c" * 201), "class_names.2: String should have at most 200 characters"),
    ],
)
def test_names_that_no_bundle_takes_are_refused_before_the_training(names, message):
    with pytest.raises(ConfigError) as raised:
        small_declaration(class_names=names)
    assert message in str(raised.value)


def test_more_names_than_a_config_json_may_hold_are_refused():
    own = small_declaration()
    many = tuple(f"{number:0200d}" for number in range(6000))
    with pytest.raises(ConfigError, match="class_names: more than 1048576 bytes; shorten"):
        TransformerDeclaration.of(
            TINY_UVIT.__class__(
                in_channels=4, patch=1, depth=2, width=32, heads=2, num_classes=6000, grid=(4, 4)
            ),
            own.diffusion(),
            default_sampler="ddim:3",
            default_guidance=1.5,
            class_names=many,
            autoencoder=own.autoencoder,
        )


def test_the_names_are_in_the_order_of_the_labels():
    assert read().class_names == CLASSES
