"""Training from scratch starts from the shortcuts' linear path, at a sane size."""

import pytest
import torch
import torch.nn.functional as F
from autoencoders import random_input, shrink
from skimage import data
from torch import Tensor, nn

from dcae_export.models.attention import EfficientViTBlock
from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.layers import (
    ConvPixelShuffle,
    ConvPixelUnshuffle,
    LatentConv,
    ResBlock,
    RMSNorm2d,
    StridedConv,
    duplicate_channels,
)
from dcae_export.models.presets import PRESETS
from dcae_export.training.initialization import initialize

F32 = "dc-ae-f32c32-in-1.0"
F32_1_5 = "dc-ae-f32c128-1.5"
GRAPHS = [F32, "dc-ae-f64c128-in-1.0", "dc-ae-f32c32-sana-1.0", F32_1_5]
BLOCKS = (ResBlock, EfficientViTBlock)


def started(name: str, *, seed: int = 0) -> Autoencoder:
    # One block where a stage has several: all of them start as the identity.
    network = Autoencoder(shrink(PRESETS[name].config, depth=1))
    initialize(network, seed=seed)
    return network


def astronaut(height: int, width: int) -> Tensor:
    picture = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None, :, :height, :width]
    return picture.float() / 127.5 - 1


def encoder_path(network: Autoencoder, image: Tensor) -> Tensor:
    """The encoder without its residual blocks."""
    x = network.encoder.conv_in(image)
    for stage in network.encoder.stages:
        for block in stage:
            x = x if isinstance(block, BLOCKS) else block(x)
    return network.encoder.conv_out(x)


def decoder_path(network: Autoencoder, latent: Tensor) -> Tensor:
    """The decoder's shortcuts alone, and what it ends with."""
    config = network.config.decoder
    x = duplicate_channels(latent, config.stages[-1].width)
    for stage in reversed(config.stages[:-1]):
        if stage.depth:
            x = F.pixel_shuffle(duplicate_channels(x, 4 * stage.width), 2)
    return network.decoder.conv_out(network.decoder.activation_out(network.decoder.norm_out(x)))


@pytest.mark.parametrize("name", [F32, "dc-ae-f32c32-sana-1.0"])
def test_a_network_starts_as_its_shortcuts(name):
    network = started(name).eval()
    image = random_input(2, 3, 64, 96)
    with torch.inference_mode():
        latent = network.encode(image)
        assert torch.equal(latent, encoder_path(network, image))
        assert torch.equal(network.decode(latent), decoder_path(network, latent))


@pytest.mark.parametrize("picture", ["noise", "photograph"])
@pytest.mark.parametrize("name", GRAPHS)
def test_latents_and_reconstructions_start_with_a_sane_variance(name, picture):
    network = started(name)
    image = random_input(1, 3, 256, 256) if picture == "noise" else astronaut(256, 256)
    with torch.inference_mode():
        latent = network.encode(image)
        reconstruction = network.decode(latent)
    assert 0.1 < latent.var() < 10
    assert 0.1 < reconstruction.var() < 10


@pytest.mark.parametrize(
    "layer",
    [
        ConvPixelUnshuffle(64, 128),
        ConvPixelUnshuffle(64, 64),
        ConvPixelUnshuffle(64, 128, shortcut=False),
        StridedConv(64, 128),
        LatentConv(64, 4, shortcut=True),
        LatentConv(4, 64, shortcut=True),
        LatentConv(64, 4, shortcut=False),
        ConvPixelShuffle(128, 64),
    ],
)
def test_a_change_of_resolution_or_width_keeps_the_mean_square_of_noise(layer):
    network = started(F32)
    network.layer = layer
    initialize(network, seed=3)
    conv = layer.conv
    with torch.inference_mode():
        y = layer(random_input(2, conv.in_channels, 64, 64))
    # Up to what the padding takes at the edges and what a few drawn weights leave to chance.
    assert y.square().mean() == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize(
    "block",
    [
        ResBlock(4, norm=RMSNorm2d(4), activation=nn.SiLU()),
        ResBlock(4, norm=nn.BatchNorm2d(4), activation=nn.ReLU()),
        EfficientViTBlock(32, scales=(5,)),
    ],
    ids=["rms", "batch", "attention"],
)
def test_a_block_starts_as_the_identity(block):
    network = started(F32)
    network.block = block
    initialize(network, seed=0)
    x = random_input(2, 32 if isinstance(block, EfficientViTBlock) else 4, 5, 5)
    with torch.no_grad():
        assert torch.equal(block(x), x)


@pytest.mark.parametrize("name", [F32, F32_1_5])
def test_no_weight_stays_where_it_starts(name):
    network = started(name)
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    image = random_input(2, 3, 64, 64)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    # First the ends of the branches, which are 0, then what is before them.
    for _ in range(2):
        optimizer.zero_grad()
        (network(image) - image).square().mean().backward()
        optimizer.step()
    unmoved = [n for n, p in network.named_parameters() if torch.equal(p, before[n])]
    assert unmoved == []


def test_a_seed_gives_the_same_start_whatever_was_there_before():
    first, second, other = started(F32), started(F32), started(F32, seed=1)
    for tensor in (*second.parameters(), *second.buffers()):
        tensor.data.fill_(7)
    initialize(second, seed=0)
    states = [network.state_dict() for network in (first, second, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(
        states[0]["encoder.conv_in.conv.weight"], states[2]["encoder.conv_in.conv.weight"]
    )
