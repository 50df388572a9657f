"""A fitted network is a codec before its first step."""

import dataclasses
import math

import pytest
import torch
from autoencoders import shrink
from skimage import data
from torch import Tensor

from dcae_export.errors import ConfigError
from dcae_export.models.autoencoder import (
    Activation,
    AttentionStage,
    Autoencoder,
    AutoencoderConfig,
    DecoderConfig,
    Downsampling,
    EncoderConfig,
    ResStage,
    Upsampling,
)
from dcae_export.models.presets import PRESETS
from dcae_export.training.autoencoder.linear_fit import fit_linear_path, require_linear_fit
from dcae_export.training.initialization import initialize

STAGES = (
    ResStage(width=16, depth=0),
    ResStage(width=32, depth=1),
    ResStage(width=32, depth=1),
    AttentionStage(width=64, depth=1),
)
CONFIG = AutoencoderConfig(
    encoder=EncoderConfig(
        stages=STAGES, downsampling=Downsampling.CONV_PIXEL_UNSHUFFLE, latent_shortcut=True
    ),
    decoder=DecoderConfig(
        stages=STAGES,
        upsampling=Upsampling.CONV_PIXEL_SHUFFLE,
        latent_shortcut=True,
        out_activation=Activation.RELU,
    ),
    latent_channels=16,
    scaling_factor=None,
)


def started(*, fitted: bool) -> Autoencoder:
    network = Autoencoder(CONFIG)
    initialize(network, seed=0)
    if fitted:
        fit_linear_path(network, seed=0)
    return network.eval()


def astronaut() -> Tensor:
    picture = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None, :, :256, :256]
    return picture.float() / 127.5 - 1


@torch.no_grad()
def psnr(network: Autoencoder) -> float:
    picture = astronaut()
    return 10 * math.log10(4 / float((network(picture).clamp(-1, 1) - picture).square().mean()))


def test_a_fitted_network_reconstructs_a_photograph_that_it_never_saw():
    # 17.5 and 8.1 dB; a grey picture has 10.9.
    assert psnr(started(fitted=True)) > psnr(started(fitted=False)) + 5


def test_the_fit_is_of_its_seed():
    first, second = (started(fitted=True).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_latent_has_a_sane_spread():
    with torch.no_grad():
        latent = started(fitted=True).encode(astronaut())
    assert 0.2 < float(latent.std()) < 5


def test_blocks_stay_the_identity():
    network = started(fitted=True)
    names = [name for name, _ in network.named_parameters() if name.endswith("norm.weight")]
    assert names
    assert not any(network.get_parameter(name).any() for name in names)


def test_the_demo_model_can_be_fitted():
    config = PRESETS["dc-ae-f64c64-demo"].config
    assert isinstance(config, AutoencoderConfig)
    require_linear_fit(config)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("dc-ae-f64c128-in-1.0", "at most 256 channels"),
        ("dc-ae-f32c32-sana-1.0", "pixel-unshuffle"),
    ],
)
def test_what_cannot_be_fitted_says_so(name: str, problem: str):
    config = PRESETS[name].config
    assert isinstance(config, AutoencoderConfig)
    with pytest.raises(ConfigError, match=problem):
        require_linear_fit(config)


def test_too_few_channels_next_to_the_image_are_refused():
    narrow = (STAGES[0], ResStage(width=8, depth=1), *STAGES[2:])
    config = dataclasses.replace(CONFIG, decoder=dataclasses.replace(CONFIG.decoder, stages=narrow))
    with pytest.raises(ConfigError, match="16 channels or more"):
        require_linear_fit(config)


def test_a_stage_at_full_resolution_is_refused():
    config = shrink(PRESETS["dc-ae-f64c128-in-1.0"].config, depth=1)
    assert isinstance(config, AutoencoderConfig)
    full = (ResStage(width=16, depth=1), *config.encoder.stages[1:])
    config = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, stages=full))
    with pytest.raises(ConfigError, match="empty stage"):
        require_linear_fit(config)
