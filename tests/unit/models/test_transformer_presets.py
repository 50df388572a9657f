import dataclasses

import pytest
import torch

from dcae_export.errors import UsageError
from dcae_export.models.dit import DiTConfig
from dcae_export.models.network import build
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.transformer_presets import (
    BACKBONES,
    TRANSFORMERS,
    USIT_SAMPLER,
    is_of_size,
    transformer_name,
    transformer_preset,
)
from dcae_export.models.transformer_weights import build_transformer

F32, F64 = "dc-ae-f32c32-in-1.0", "dc-ae-f64c128-in-1.0"
# Millions of parameters as printed, latent channels, side of the grid, guidance.
PUBLISHED = {
    f"{F32}-dit-xl-in-512px": ("674.89", 32, 16, 1.3),
    f"{F32}-dit-xl-in-512px-trainbs1024": ("674.89", 32, 16, 1.3),
    f"{F32}-uvit-s-in-512px": ("44.79", 32, 16, 1.5),
    f"{F32}-uvit-h-in-512px": ("500.87", 32, 16, 1.5),
    f"{F32}-uvit-2b-in-512px": ("1580.40", 32, 16, 1.5),
    f"{F32}-usit-h-in-512px": ("500.87", 32, 16, 1.2),
    f"{F32}-usit-2b-in-512px": ("1580.40", 32, 16, 1.15),
    f"{F64}-uvit-h-in-512px": ("500.87", 128, 8, 1.5),
    f"{F64}-uvit-h-in-512px-train2000k": ("500.87", 128, 8, 1.5),
    f"{F64}-uvit-2b-in-512px": ("1580.40", 128, 8, 1.5),
    f"{F64}-uvit-2b-in-512px-train2000k": ("1580.40", 128, 8, 1.5),
}
# On the latents of f32.
BACKBONE_MILLIONS = {
    "dit-s": "32.88",
    "dit-b": "130.35",
    "dit-l": "457.89",
    "dit-xl": "674.89",
    "uvit-s": "44.79",
    "uvit-s-deep": "58.44",
    "uvit-m": "130.92",
    "uvit-l": "286.80",
    "uvit-h": "500.87",
    "uvit-2b": "1580.40",
    "usit-demo": "2.23",
    "usit-h": "500.87",
    "usit-2b": "1580.40",
}


def millions(config) -> str:
    with torch.device("meta"):
        network = build_transformer(config)
    return f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.2f}"


def test_the_published_transformers_are_these():
    assert list(TRANSFORMERS) == list(PUBLISHED)
    assert all(preset.repository == f"mit-han-lab/{name}" for name, preset in TRANSFORMERS.items())


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_published_transformer_has_the_printed_size_and_guidance(name):
    preset = TRANSFORMERS[name]
    config = preset.config
    printed = (millions(config), config.in_channels, config.grid[0], preset.default_guidance)
    assert printed == PUBLISHED[name]
    assert config.grid[0] == config.grid[1]
    assert config.num_classes == 1000


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_has_the_printed_number_of_parameters(name):
    assert millions(transformer_preset(name, autoencoder="f32").config) == BACKBONE_MILLIONS[name]


def test_the_demos_networks_take_no_more_than_twelve_megabytes_in_halves():
    config = transformer_preset("usit-demo", autoencoder="f64-demo").config
    assert (config.in_channels, config.grid) == (64, (8, 8))
    with torch.device("meta"):
        transformer = build_transformer(dataclasses.replace(config, num_classes=10))
        autoencoder = build(PRESETS[preset_name("f64-demo")].config)
    parameters = [*transformer.parameters(), *autoencoder.parameters()]
    assert 11.5e6 < 2 * sum(parameter.numel() for parameter in parameters) < 12e6


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_published_transformer_is_of_its_autoencoder_latents(name):
    preset = TRANSFORMERS[name]
    autoencoder = PRESETS[preset.autoencoder].config
    assert name.startswith(preset.autoencoder)
    assert preset.config.in_channels == autoencoder.latent_channels
    assert preset.config.grid[0] * autoencoder.downsample == 512
    assert autoencoder.scaling_factor is not None


@pytest.mark.parametrize("name", BACKBONES)
def test_a_family_has_its_own_process_and_sampler(name):
    preset = transformer_preset(name, autoencoder="f64")
    schedule = preset.diffusion.schedule
    found = (preset.diffusion.prediction, schedule.kind, schedule.beta_start, schedule.beta_end)
    match name.partition("-")[0]:
        case "dit":
            assert found == ("epsilon", "linear", 1e-4, 0.02)
            assert preset.default_sampler == "ddpm:250"
        case "uvit":
            assert found == ("epsilon", "scaled_linear", 0.00085, 0.012)
            assert preset.default_sampler == "dpmpp-singlestep:30"
        case "usit":
            assert found == ("velocity", "flow", None, None)
            assert preset.default_sampler == USIT_SAMPLER
        case other:
            pytest.fail(f"unknown family {other}")
    is_dit = isinstance(preset.config, DiTConfig)
    assert preset.diffusion.learned_variance == is_dit
    assert not is_dit or preset.config.learned_variance


@pytest.mark.parametrize(
    ("name", "autoencoder", "full"),
    [
        ("dit-xl", "f32", f"{F32}-dit-xl-in-512px"),
        ("uvit-h", F64, f"{F64}-uvit-h-in-512px"),
        (f"{F64}-uvit-h-in-512px-train2000k", "f64", f"{F64}-uvit-h-in-512px-train2000k"),
    ],
)
def test_a_backbone_stands_for_the_published_transformer(name, autoencoder, full):
    assert transformer_name(name, autoencoder=autoencoder) == full
    assert transformer_preset(name, autoencoder=autoencoder) is TRANSFORMERS[full]


@pytest.mark.parametrize(
    ("autoencoder", "full", "channels", "side", "patch"),
    [
        ("f128", "dc-ae-f128c512-in-1.0-dit-b", 512, 4, 1),
        ("dc-ae-f64c128-1.5", "dc-ae-f64c128-1.5-dit-b", 128, 8, 1),
        ("sd-f8", "sd-f8-dit-b", 4, 64, 2),
    ],
)
def test_any_autoencoder_gives_a_backbone_without_weights(autoencoder, full, channels, side, patch):
    assert transformer_name("dit-b", autoencoder=autoencoder) == full
    preset = transformer_preset("dit-b", autoencoder=autoencoder)
    config = preset.config
    assert (config.in_channels, config.grid, config.patch) == (channels, (side, side), patch)
    assert preset.repository is None


def test_an_unknown_transformer_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"dit-xxl.*dit-xl.*usit-2b.*train2000k"):
        transformer_preset("dit-xxl", autoencoder="f32")


def test_an_unknown_autoencoder_is_a_usage_error():
    with pytest.raises(UsageError, match="unknown variant 'f31'"):
        transformer_preset("dit-xl", autoencoder="f31")


def test_a_published_transformer_goes_with_its_own_latents_only():
    with pytest.raises(UsageError, match=f"for the latents of {F64}, not {F32}"):
        transformer_preset(f"{F64}-uvit-h-in-512px", autoencoder="f32")


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbones_size_is_known_again_whatever_latents_and_classes(name):
    preset = transformer_preset(name, autoencoder="f64")
    own = dataclasses.replace(preset.config, num_classes=None, in_channels=7, grid=(4, 6))
    assert is_of_size(name, own, preset.diffusion)
    for other in BACKBONES:
        assert is_of_size(other, own, preset.diffusion) == (BACKBONES[other] == BACKBONES[name])


def test_a_published_transformers_size_is_known_by_its_name():
    preset = transformer_preset("usit-h", autoencoder="f32")
    assert is_of_size(f"{F32}-usit-h-in-512px", preset.config, preset.diffusion)
    assert not is_of_size(f"{F32}-uvit-h-in-512px", preset.config, preset.diffusion)
    with pytest.raises(UsageError, match="unknown transformer"):
        is_of_size("uvit-x", preset.config, preset.diffusion)
