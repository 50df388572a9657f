import pytest
from autoencoders import DC_AE

from dcae_export.errors import ConfigError, WeightsError
from dcae_export.models.autoencoder import Activation, Downsampling, Norm, ResStage
from dcae_export.models.diffusers_config import from_diffusers, to_diffusers
from dcae_export.models.presets import PRESETS

# As hosted with SANA: "Conv" with a capital, and without the three fields that later versions added.
HOSTED_SANA = {
    "_class_name": "AutoencoderDC",
    "_diffusers_version": "0.32.0.dev0",
    "attention_head_dim": 32,
    "decoder_act_fns": "silu",
    "decoder_block_out_channels": [128, 256, 512, 512, 1024, 1024],
    "decoder_block_types": ["ResBlock"] * 3 + ["EfficientViTBlock"] * 3,
    "decoder_layers_per_block": [3, 3, 3, 3, 3, 3],
    "decoder_norm_types": "rms_norm",
    "decoder_qkv_multiscales": [[], [], [], [5], [5], [5]],
    "downsample_block_type": "Conv",
    "encoder_block_out_channels": [128, 256, 512, 512, 1024, 1024],
    "encoder_block_types": ["ResBlock"] * 3 + ["EfficientViTBlock"] * 3,
    "encoder_layers_per_block": [2, 2, 2, 3, 3, 3],
    "encoder_qkv_multiscales": [[], [], [], [5], [5], [5]],
    "in_channels": 3,
    "latent_channels": 32,
    "scaling_factor": 0.41407,
    "upsample_block_type": "interpolate",
}


@pytest.mark.parametrize("name", DC_AE)
def test_a_preset_survives_the_way_there_and_back(name):
    config = PRESETS[name].config
    assert from_diffusers(to_diffusers(config)) == config


def test_the_config_hosted_with_sana_is_the_preset():
    assert from_diffusers(HOSTED_SANA) == PRESETS["dc-ae-f32c32-sana-1.0"].config


@pytest.mark.parametrize("spelling", ["Conv", "conv", "anything"])
def test_all_but_pixel_unshuffle_is_a_strided_convolution(spelling):
    config = from_diffusers(HOSTED_SANA | {"downsample_block_type": spelling})
    assert config.encoder.downsampling is Downsampling.STRIDED_CONV


def test_missing_fields_take_the_defaults_of_diffusers():
    config = from_diffusers({"_class_name": "AutoencoderDC"})
    assert config.encoder.latent_shortcut
    assert config.decoder.latent_shortcut
    assert config.decoder.out_activation is Activation.RELU
    assert config.scaling_factor == 1.0
    assert [stage.depth for stage in config.encoder.stages] == [2, 2, 2, 3, 3, 3]


def test_one_value_may_stand_for_all_stages():
    config = from_diffusers(
        HOSTED_SANA
        | {
            "decoder_block_types": "ResBlock",
            "decoder_norm_types": "batch_norm",
            "decoder_act_fns": "relu",
        }
    )
    assert config.decoder.stages[4] == ResStage(
        width=1024, depth=3, norm=Norm.BATCH, activation=Activation.RELU
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "AutoencoderKL"}, "AutoencoderKL"),
        ({"_class_name": None}, "None"),
        ({"in_channels": 4}, "in_channels"),
        ({"attention_head_dim": 64}, "attention_head_dim"),
        ({"latent_channels": 0}, "latent_channels"),
        ({"latent_channels": "many"}, "latent_channels"),
        ({"decoder_conv_act_fn": "gelu"}, "decoder_conv_act_fn"),
        ({"decoder_norm_types": "layer_norm"}, "decoder_norm_types"),
        ({"encoder_layers_per_block": [10**9] * 6}, "encoder_layers_per_block"),
        ({"encoder_block_out_channels": [128] * 1000}, "encoder_block_out_channels"),
        ({"encoder_qkv_multiscales": [[4]] * 6}, "encoder_qkv_multiscales"),
        ({"scaling_factor": float("nan")}, "scaling_factor"),
        ({"scaling_factor": -1}, "scaling_factor"),
        ({"shift_factor": 0.5}, "shift_factor"),
    ],
)
def test_a_field_that_cannot_be_honoured_is_named(change, message):
    with pytest.raises(WeightsError, match=message) as raised:
        from_diffusers(HOSTED_SANA | change)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_layers_per_block": [1, 2]}, "6 stages, but 2"),
        ({"encoder_block_types": ["ResBlock"]}, "6 stages, but 1"),
        ({"encoder_qkv_multiscales": []}, "6 stages, but 0"),
        ({"decoder_block_out_channels": [128, 256]}, "2 stages, but 6"),
        ({"decoder_norm_types": "batch_norm"}, "batch_norm is not supported"),
        ({"latent_channels": 48}, "latent shortcut"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        from_diffusers(HOSTED_SANA | change)
