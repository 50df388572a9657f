import pytest

from dcae_export.errors import ConfigError, WeightsError
from dcae_export.models.presets import PRESETS
from dcae_export.models.sd_vae_config import SDVAEConfig, from_autoencoder_kl, to_autoencoder_kl

# As hosted with sd-vae-ft-ema: without scaling_factor and what later versions added.
HOSTED_SD_F8 = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.4.2",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 256,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
# What today's diffusers writes besides.
LATER_FIELDS = {
    "force_upcast": True,
    "latents_mean": None,
    "latents_std": None,
    "mid_block_add_attention": True,
    "scaling_factor": 0.18215,
    "shift_factor": None,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}


@pytest.mark.parametrize("name", ["sd-f8", "sd-f32", "sd-f64"])
def test_a_baseline_survives_the_way_there_and_back(name):
    config = PRESETS[name].config
    assert from_autoencoder_kl(to_autoencoder_kl(config)) == config


@pytest.mark.parametrize("later", [{}, LATER_FIELDS], ids=["old", "new"])
def test_the_hosted_config_is_the_preset(later):
    assert from_autoencoder_kl(HOSTED_SD_F8 | later) == PRESETS["sd-f8"].config


def test_what_is_no_number_stays_unpublished():
    assert from_autoencoder_kl(HOSTED_SD_F8 | {"scaling_factor": None}).scaling_factor is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"act_fn": "relu"}, "act_fn"),
        ({"in_channels": 4}, "in_channels"),
        ({"layers_per_block": 3}, "layers_per_block"),
        ({"norm_num_groups": 16}, "norm_num_groups"),
        ({"latent_channels": 0}, "latent_channels"),
        ({"latent_channels": "many"}, "latent_channels"),
        ({"block_out_channels": [128] * 1000}, "block_out_channels"),
        ({"block_out_channels": [128, 10**9, 512, 512]}, "block_out_channels"),
        ({"block_out_channels": [128, 256, 512]}, "another number of block types"),
        ({"down_block_types": ["AttnDownEncoderBlock2D"] * 4}, "down_block_types"),
        ({"up_block_types": ["UpDecoderBlock2D"] * 3}, "another number of block types"),
        ({"scaling_factor": float("nan")}, "scaling_factor"),
        ({"scaling_factor": -1}, "scaling_factor"),
        ({"shift_factor": 0.1159}, "shift_factor"),
        ({"use_quant_conv": False}, "use_quant_conv"),
        ({"mid_block_add_attention": False}, "mid_block_add_attention"),
        ({"temporal": True}, "temporal"),
    ],
)
def test_a_field_that_cannot_be_honoured_is_named(change, message):
    with pytest.raises(WeightsError, match=rf"^config\.json: .*{message}") as raised:
        from_autoencoder_kl(HOSTED_SD_F8 | change)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["layers_per_block", "block_out_channels", "up_block_types"])
def test_a_field_whose_default_is_no_sd_vae_must_be_there(name):
    fields = {key: value for key, value in HOSTED_SD_F8.items() if key != name}
    with pytest.raises(WeightsError, match=f"{name}: Field required"):
        from_autoencoder_kl(fields)


def test_a_width_that_the_norms_cannot_have_is_refused():
    with pytest.raises(ConfigError, match="width 80 is no multiple of 32"):
        SDVAEConfig(block_out_channels=(64, 80), latent_channels=4, scaling_factor=None)
