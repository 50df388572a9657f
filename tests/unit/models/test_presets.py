import math

import pytest
import torch
from autoencoders import DC_AE

from dcae_export.errors import UsageError
from dcae_export.models.autoencoder import (
    AttentionStage,
    Autoencoder,
    AutoencoderConfig,
    ResStage,
)
from dcae_export.models.key_map import Layout, key_map
from dcae_export.models.presets import PRESETS, SHORT_NAMES, preset_name

# Trainable parameters, float elements with running statistics, keys in diffusers' layout.
COUNTS = {
    "dc-ae-f32c32-in-1.0": (323_356_460, 323_369_260, 362),
    "dc-ae-f32c32-in-1.0-256px": (323_356_460, 323_369_260, 362),
    "dc-ae-f32c32-mix-1.0": (323_356_460, 323_369_260, 362),
    "dc-ae-f64c128-in-1.0": (676_896_140, 676_908_940, 418),
    "dc-ae-f64c128-mix-1.0": (676_896_140, 676_908_940, 418),
    "dc-ae-f128c512-in-1.0": (1_120_682_252, 1_120_695_052, 474),
    "dc-ae-f128c512-mix-1.0": (1_120_682_252, 1_120_695_052, 474),
    "dc-ae-f32c32-sana-1.0": (312_250_275, 312_250_275, 375),
    "dc-ae-f32c32-sana-1.1": (312_250_275, 312_250_275, 375),
    "dc-ae-lite-f32c32-sana-1.1": (421_181_228, 421_181_228, 293),
    "dc-ae-f32c128-1.5": (523_609_740, 523_609_740, 296),
    "dc-ae-f64c128-1.5": (714_741_644, 714_741_644, 340),
}
SCALING_FACTORS = {
    "dc-ae-f32c32-in-1.0": 0.3189,
    "dc-ae-f32c32-in-1.0-256px": None,
    "dc-ae-f32c32-mix-1.0": 0.4552,
    "dc-ae-f64c128-in-1.0": 0.2889,
    "dc-ae-f64c128-mix-1.0": 0.4538,
    "dc-ae-f128c512-in-1.0": 0.4883,
    "dc-ae-f128c512-mix-1.0": 0.3620,
    "dc-ae-f32c32-sana-1.0": 0.41407,
    "dc-ae-f32c32-sana-1.1": 0.41407,
    "dc-ae-lite-f32c32-sana-1.1": 0.41407,
    "dc-ae-f32c128-1.5": None,
    "dc-ae-f64c128-1.5": 0.5935,
    "dc-ae-f64c64-demo": None,
    "sd-f8": 0.18215,
    "sd-f32": None,
    "sd-f64": None,
}
DEMO = "dc-ae-f64c64-demo"

# SD-VAE-f8, SD-VAE-f32c32 and SD-VAE-f64c128.
SD_VAE = [("sd-f8", 8, 4), ("sd-f32", 32, 32), ("sd-f64", 64, 128)]


@pytest.mark.parametrize("name", DC_AE)
def test_a_preset_has_the_published_number_of_elements_and_keys(name):
    with torch.device("meta"):
        autoencoder = Autoencoder(PRESETS[name].config)
    trainable = sum(parameter.numel() for parameter in autoencoder.parameters())
    floats = sum(t.numel() for t in autoencoder.state_dict().values() if t.is_floating_point())
    stored = key_map(PRESETS[name].config, Layout.DIFFUSERS)
    assert (trainable, floats, sum(len(e.names) for e in stored)) == COUNTS[name]
    assert sum(math.prod(e.shape) for e in stored if not e.key.endswith("tracked")) == floats


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_published_scaling_factor(name):
    assert PRESETS[name].config.scaling_factor == SCALING_FACTORS[name]


@pytest.mark.parametrize("name", [*DC_AE, DEMO])
def test_a_preset_is_named_after_its_compression_and_channels(name):
    config = PRESETS[name].config
    assert f"-f{config.downsample}c{config.latent_channels}-" in name


@pytest.mark.parametrize(("name", "factor", "channels"), SD_VAE)
def test_the_baselines_are_those_of_the_paper(name, factor, channels):
    config = PRESETS[name].config
    assert (config.downsample, config.latent_channels) == (factor, channels)
    assert PRESETS[name].summary.startswith(f"{factor}x, {channels} channels, SD-VAE")


def test_only_the_demo_and_the_baselines_that_nobody_published_are_without_a_repository():
    without = [name for name in PRESETS if PRESETS[name].repository is None]
    assert without == [DEMO, "sd-f32", "sd-f64"]


def test_the_demo_is_a_small_dc_ae_with_blocks_of_both_kinds_on_both_sides():
    config = PRESETS[DEMO].config
    assert isinstance(config, AutoencoderConfig)
    with torch.device("meta"):
        autoencoder = Autoencoder(config)
    assert 3e6 < sum(parameter.numel() for parameter in autoencoder.parameters()) < 4e6
    for side in (config.encoder, config.decoder):
        assert {type(stage) for stage in side.stages} == {ResStage, AttentionStage}
        assert side.latent_shortcut


@pytest.mark.parametrize(("short", "name"), SHORT_NAMES.items())
def test_a_short_name_stands_for_a_preset(short, name):
    assert preset_name(short) == name
    assert preset_name(name) == name


def test_an_unknown_variant_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"f31.*f32.*dc-ae-f64c128-1\.5"):
        preset_name("f31")
