"""Every weight of a network lies in one block."""

import dataclasses

import pytest
import torch
from autoencoders import DC_AE, shrink
from small_transformers import SMALL_DIT, SMALL_UVIT
from torch import nn

from dcae_export.export.image_io import PictureDecoder, PictureEncoder
from dcae_export.export.precision_blocks import blocks_of, network_of
from dcae_export.models.dit import DiT
from dcae_export.models.network import build
from dcae_export.models.presets import PRESETS
from dcae_export.models.uvit import UViT


def sides(config) -> dict[str, nn.Module]:
    with torch.device("meta"):
        network = build(config)
    return {"encoder": network.encoder, "decoder": network.decoder}


def transformers() -> dict[str, nn.Module]:
    unlabelled = dataclasses.replace(SMALL_UVIT, num_classes=None)
    return {
        "DiT": DiT(SMALL_DIT),
        "DiT without classes": DiT(dataclasses.replace(SMALL_DIT, num_classes=None)),
        "U-ViT": UViT(SMALL_UVIT),
        "U-ViT without classes": UViT(unlabelled),
    }


def assert_in_one_block_each(network: nn.Module, *, outside: set[str]) -> None:
    blocks = blocks_of(network)
    names = [*blocks.free, *blocks.fixed]
    owners = {
        weight: [block for block in names if weight.startswith(f"{block}.")]
        for weight, _ in network.named_parameters()
    }
    assert {weight for weight, found in owners.items() if not found} == outside
    assert all(len(found) <= 1 for found in owners.values())


@pytest.mark.parametrize("name", DC_AE)
def test_every_weight_of_a_dc_ae_is_in_one_block(name):
    for network in sides(shrink(PRESETS[name].config, depth=1)).values():
        assert_in_one_block_each(network, outside=set())


@pytest.mark.parametrize("name", transformers())
def test_every_weight_of_a_transformer_but_learned_positions_is_in_one_block(name):
    outside = {"pos_embed"} if name.startswith("U-ViT") else set()
    assert_in_one_block_each(transformers()[name], outside=outside)


def test_what_stands_next_to_the_output_is_always_float32():
    autoencoder = sides(shrink(PRESETS["dc-ae-f32c32-in-1.0"].config, depth=1))
    networks = [*autoencoder.values(), *transformers().values()]
    last = {blocks_of(network).fixed[-1] for network in networks}
    assert last == {"conv_out", "final_layer", "decoder_pred"}


def test_time_features_are_always_float32():
    networks = transformers()
    assert "t_embedder" in blocks_of(networks["DiT"]).fixed
    assert "time_features" in blocks_of(networks["U-ViT without classes"]).fixed


def test_pictures_around_a_network_are_not_part_of_it():
    network = nn.Identity()
    assert network_of(PictureEncoder(network)) is network
    assert network_of(PictureDecoder(network)) is network
    assert network_of(network) is network


def test_another_network_has_no_blocks():
    with pytest.raises(TypeError, match="Identity is no network"):
        blocks_of(nn.Identity())
