"""Our networks and weights against diffusers' own: both directions, every DC-AE."""

import json

import pytest
import torch
from autoencoders import (
    DC_AE,
    random_input,
    save_diffusers,
    shrink,
    small_checkpoint,
    to_diffusers,
)
from diffusers import AutoencoderDC

from dcae_export.models.autoencoder import AutoencoderConfig
from dcae_export.models.key_map import Layout
from dcae_export.models.presets import PRESETS
from dcae_export.models.weights import load_autoencoder, load_checkpoint, save_checkpoint
from dcae_export.parity import FP32, Difference, difference

pytestmark = pytest.mark.integration

# One preset of each graph of the 1.0 family: "in" and "mix" differ in weights and the scaling factor only.
GRAPHS = (
    "dc-ae-f32c32-in-1.0",
    "dc-ae-f64c128-in-1.0",
    "dc-ae-f128c512-in-1.0",
    "dc-ae-f32c32-sana-1.0",
)
# Latent grids on both sides of 32 positions, where diffusers changes to its quadratic attention, which
# the stages above the latent reach at other sizes: they have 4 and 16 times as many positions.
GRIDS = [(1, 1), (1, 3), (2, 3), (4, 8), (3, 11), (8, 6)]


def compare(theirs: AutoencoderDC, ours, config: AutoencoderConfig, grid, *, batch: int):
    image = random_input(batch, 3, *(config.downsample * side for side in grid))
    latent = random_input(batch, config.latent_channels, *grid)
    with torch.inference_mode():
        encoded = difference(ours.encode(image).numpy(), theirs.encode(image).latent.numpy())
        decoded = difference(ours.decode(latent).numpy(), theirs.decode(latent).sample.numpy())
    return encoded, decoded


def assert_same(encoded: Difference, decoded: Difference) -> None:
    assert encoded.within(FP32), f"encoder: {encoded}"
    assert decoded.within(FP32), f"decoder: {decoded}"


@pytest.mark.parametrize("name", DC_AE)
def test_what_diffusers_saves_computes_the_same_here(name, tmp_path):
    config = shrink(PRESETS[name].config)
    theirs = to_diffusers(config, seed=1)
    checkpoint = load_checkpoint(save_diffusers(theirs, tmp_path / "saved"))
    assert checkpoint.config == config
    ours = load_autoencoder(checkpoint)
    # The largest grids only where they are cheap: 128x the grid's sides is the picture's size.
    grids = [grid for grid in GRIDS if config.downsample * max(grid) <= 384]
    for grid in grids:
        assert_same(*compare(theirs, ours, config, grid, batch=2))


@pytest.mark.parametrize("name", DC_AE)
def test_what_we_save_is_loaded_strictly_by_diffusers(name, tmp_path):
    checkpoint = small_checkpoint(shrink(PRESETS[name].config), seed=2)
    save_checkpoint(checkpoint, tmp_path / "saved", layout=Layout.DIFFUSERS)
    theirs, report = AutoencoderDC.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not any(report.values()), report
    ours = load_autoencoder(checkpoint)
    assert_same(*compare(theirs.eval(), ours, checkpoint.config, (1, 3), batch=2))


def test_the_saved_config_has_every_field_of_diffusers(tmp_path):
    config = shrink(PRESETS["dc-ae-lite-f32c32-sana-1.1"].config)
    save_checkpoint(small_checkpoint(config), tmp_path / "ours", layout=Layout.DIFFUSERS)
    save_diffusers(to_diffusers(config), tmp_path / "theirs")
    ours = json.loads((tmp_path / "ours" / "config.json").read_text())
    theirs = json.loads((tmp_path / "theirs" / "config.json").read_text())
    theirs.pop("_diffusers_version")
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.parametrize("variant", GRAPHS)
def test_full_size_autoencoders_compute_the_same_at_256_pixels(variant, spacious_folder):
    config = PRESETS[variant].config
    theirs = to_diffusers(config, seed=3)
    checkpoint = load_checkpoint(save_diffusers(theirs, spacious_folder), variant=variant)
    side = 256 // config.downsample
    ours = load_autoencoder(checkpoint)
    assert_same(*compare(theirs, ours, config, (side, side), batch=1))
