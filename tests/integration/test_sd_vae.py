"""SD-VAE in our form against diffusers' own, and files in its two spellings, read strictly."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from autoencoders import TINY_SD_VAE, random_input, small_checkpoint
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from stored_tensors import rewrite

from dcae_export.errors import ConfigError, WeightsError
from dcae_export.models.key_map import Layout, detect_layout
from dcae_export.models.network import entries
from dcae_export.models.presets import PRESETS, Preset
from dcae_export.models.random_weights import random_state
from dcae_export.models.sd_vae import SDVAE
from dcae_export.models.sd_vae_config import to_autoencoder_kl
from dcae_export.models.sd_vae_keys import current_names
from dcae_export.models.weights import load_autoencoder, load_checkpoint, save_checkpoint
from dcae_export.parity import FP32, difference

pytestmark = pytest.mark.integration

TODAYS = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Random weights as diffusers itself saves them."""
    autoencoder = AutoencoderKL.from_config(to_autoencoder_kl(TINY_SD_VAE))
    autoencoder.load_state_dict(random_state(autoencoder, seed=1))
    autoencoder.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def file_in(folder: Path) -> Path:
    return folder / "diffusion_pytorch_model.safetensors"


def use_old_names(tensors: dict[str, torch.Tensor]) -> None:
    for old, new in TODAYS.items():
        for name in [name for name in tensors if f".attentions.0.{new}." in name]:
            tensors[name.replace(f".{new}.", f".{old}.")] = tensors.pop(name)


# ------------------------------------------------------------------------------- the networks


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (5, 4)])
def test_the_networks_compute_what_diffusers_does(folder, grid):
    theirs = AutoencoderKL.from_pretrained(folder).eval()
    ours = load_autoencoder(load_checkpoint(folder))
    image = random_input(2, 3, *(TINY_SD_VAE.downsample * side for side in grid))
    latent = random_input(2, TINY_SD_VAE.latent_channels, *grid)
    with torch.inference_mode():
        encoded = difference(
            ours.encode(image).numpy(), theirs.encode(image).latent_dist.mean.numpy()
        )
        decoded = difference(ours.decode(latent).numpy(), theirs.decode(latent).sample.numpy())
    assert encoded.within(FP32), str(encoded)
    assert decoded.within(FP32), str(decoded)


def test_every_tensor_is_drawn_and_only_what_cannot_matter_does_not():
    """A key's bias shifts all scores of a query alike, which the softmax takes out again."""
    network = SDVAE(TINY_SD_VAE).eval()
    state = random_state(network, seed=0)
    image = random_input(1, 3, 4, 6)
    unnoticed = []
    with torch.inference_mode():
        network.load_state_dict(state)
        expected = network(image)
        for name, tensor in state.items():
            scales = tensor.ndim == 1 and name.endswith("weight")
            neutral = torch.ones_like(tensor) if scales else torch.zeros_like(tensor)
            assert not torch.equal(tensor, neutral)
            network.load_state_dict(state | {name: neutral})
            if (network(image) - expected).norm() / expected.norm() < 1e-3:
                unnoticed.append(name)
    assert unnoticed == [
        f"{side}.network.mid_block.attentions.0.to_k.bias" for side in ("encoder", "decoder")
    ]


def test_sd_f8_has_the_published_number_of_elements_and_keys():
    stored = entries(PRESETS["sd-f8"].config, Layout.DIFFUSERS)
    assert len(stored) == 248
    assert sum(torch.Size(entry.shape).numel() for entry in stored) == 83_653_863


# -------------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_survives_being_saved_and_loaded(tmp_path):
    saved = small_checkpoint(TINY_SD_VAE, seed=3)
    save_checkpoint(saved, tmp_path / "saved", layout=Layout.DIFFUSERS)
    loaded = load_checkpoint(tmp_path / "saved")
    assert (loaded.preset, loaded.config, loaded.sha256) == ("custom", TINY_SD_VAE, saved.sha256)
    assert list(loaded.state) == list(saved.state)


def test_names_are_those_of_diffusers(folder):
    stored = entries(TINY_SD_VAE, Layout.DIFFUSERS)
    assert {name for entry in stored for name in entry.names} == set(load_file(file_in(folder)))
    assert detect_layout(name for entry in stored for name in entry.names) is Layout.DIFFUSERS


def test_the_official_layout_is_dc_aes_alone(tmp_path):
    checkpoint = dataclasses.replace(small_checkpoint(TINY_SD_VAE), preset="sd-f8")
    with pytest.raises(ConfigError, match="diffusers layout only"):
        save_checkpoint(checkpoint, tmp_path / "a", layout=Layout.OFFICIAL)
    assert not list(tmp_path.iterdir())


def test_the_old_names_of_the_attention_mean_the_same_weights(folder):
    before = load_checkpoint(folder)
    rewrite(file_in(folder), use_old_names)
    names = set(load_file(file_in(folder)))
    assert "encoder.mid_block.attentions.0.proj_attn.weight" in names
    assert not any(".to_" in name for name in names)
    assert load_checkpoint(folder).sha256 == before.sha256


def test_a_tensor_under_both_of_its_names_is_refused(folder):
    def add(tensors):
        name = "decoder.mid_block.attentions.0.{}.weight"
        tensors[name.format("query")] = tensors[name.format("to_q")].clone()

    rewrite(file_in(folder), add)
    with pytest.raises(WeightsError, match=r"attentions\.0\.query\.weight is unknown$"):
        load_checkpoint(folder)


def test_other_tensors_keep_their_names():
    stored = dict.fromkeys(["encoder.down_blocks.0.query.weight", "query.weight"], torch.ones(1))
    assert current_names(stored) == stored


def drop_one(tensors):
    del tensors["post_quant_conv.bias"]


def add_one(tensors):
    tensors["encoder.conv_norm_out.running_mean"] = torch.zeros(1)


def keep_one_half(tensors):
    tensors["quant_conv.weight"] = tensors["quant_conv.weight"][:4].clone()


def put_nan(tensors):
    tensors["decoder.mid_block.attentions.0.to_k.bias"][0] = torch.nan


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (drop_one, r"post_quant_conv\.bias is missing"),
        (add_one, r"encoder\.conv_norm_out\.running_mean is unknown"),
        (keep_one_half, r"quant_conv\.weight has shape \[4, 8, 1, 1\] for \[8, 8, 1, 1\]"),
        (put_nan, r"decoder\.network\.mid_block\.attentions\.0\.to_k\.bias is not finite"),
    ],
)
def test_each_tensor_of_an_sd_vae_has_to_be_as_expected(folder, change, fault):
    rewrite(file_in(folder), change)
    with pytest.raises(WeightsError, match=f"not the weights of custom: {fault}$"):
        load_checkpoint(folder)


def test_a_lone_file_is_known_by_its_tensors(folder, monkeypatch):
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match="fit no published autoencoder"):
        load_checkpoint(folder)
    preset = Preset(config=TINY_SD_VAE, repository=None, summary="")
    monkeypatch.setitem(PRESETS, "sd-tiny", preset)
    assert load_checkpoint(folder).preset == "sd-tiny"


def test_config_json_decides_the_kind(folder):
    fields = json.loads((folder / "config.json").read_text())
    assert fields["_class_name"] == "AutoencoderKL"
    with pytest.raises(WeightsError, match=r"config\.json is not that of sd-f8"):
        load_checkpoint(folder, variant="sd-f8")
    with pytest.raises(WeightsError, match=r"config\.json is not that of dc-ae-f32c32-in-1\.0"):
        load_checkpoint(folder, variant="f32")
