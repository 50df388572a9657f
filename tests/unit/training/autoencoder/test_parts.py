"""A network's parts, run one after the other, are the network."""

import pytest
import torch
from autoencoders import random_input, shrink
from torch import nn

from dcae_export.models.network import build
from dcae_export.models.presets import PRESETS
from dcae_export.models.random_weights import random_state
from dcae_export.training.autoencoder.parts import parts

# One preset of each graph: the others differ from these in their weights alone.
GRAPHS = [
    "dc-ae-f32c32-in-1.0",
    "dc-ae-f64c128-in-1.0",
    "dc-ae-f128c512-in-1.0",
    "dc-ae-f32c32-sana-1.0",
    "dc-ae-lite-f32c32-sana-1.1",
    "dc-ae-f32c128-1.5",
    "dc-ae-f64c128-1.5",
]


def small(name: str):
    network = build(shrink(PRESETS[name].config)).eval()
    network.load_state_dict(random_state(network, seed=1))
    return network


def tensors_of(modules) -> list[int]:
    return [id(tensor) for part in modules for tensor in (*part.parameters(), *part.buffers())]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_parts_in_sequence_are_the_network(name):
    network = small(name)
    halves = parts(network)
    image = random_input(1, 3, network.config.downsample, 2 * network.config.downsample)
    with torch.inference_mode():
        latent = network.encode(image)
        assert torch.equal(nn.Sequential(*halves.encoder)(image), latent)
        assert torch.equal(nn.Sequential(*halves.decoder)(latent), network.decode(latent))


@pytest.mark.parametrize("name", GRAPHS)
def test_every_tensor_of_a_network_is_in_exactly_one_part_of_its_half(name):
    network = small(name)
    halves = parts(network)
    for modules, half in ((halves.encoder, network.encoder), (halves.decoder, network.decoder)):
        assert sorted(tensors_of(modules)) == sorted(tensors_of([half]))


def test_a_part_is_a_convolution_a_block_or_a_change_of_resolution():
    config = PRESETS["dc-ae-f64c128-in-1.0"].config
    with torch.device("meta"):
        halves = parts(build(config))
    for modules, side in ((halves.encoder, config.encoder), (halves.decoder, config.decoder)):
        blocks = sum(stage.depth for stage in side.stages)
        # The first change of resolution is in the convolution at the image.
        assert len(modules) == blocks + len(side.stages) - 2 + 2
