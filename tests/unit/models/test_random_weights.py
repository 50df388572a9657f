import dataclasses

import pytest
import torch
from autoencoders import random_input
from mutations import skipped
from small_transformers import SMALL_DIT, SMALL_UVIT, random_transformer, transformer_inputs
from torch import nn

from dcae_export.models.autoencoder import (
    Activation,
    AttentionStage,
    Autoencoder,
    AutoencoderConfig,
    DecoderConfig,
    Downsampling,
    EncoderConfig,
    Norm,
    ResStage,
    Upsampling,
)
from dcae_export.models.random_weights import random_state

# Of one halving, with what is not in every DC-AE: a strided convolution, attention of two scales, batch norms.
TINY = AutoencoderConfig(
    encoder=EncoderConfig(
        stages=(ResStage(width=8, depth=1), AttentionStage(width=32, depth=1, scales=(5,))),
        downsampling=Downsampling.STRIDED_CONV,
        latent_shortcut=True,
    ),
    decoder=DecoderConfig(
        stages=(
            ResStage(width=8, depth=1, norm=Norm.BATCH, activation=Activation.RELU),
            AttentionStage(width=32, depth=1),
        ),
        upsampling=Upsampling.CONV_PIXEL_SHUFFLE,
        latent_shortcut=True,
        out_activation=Activation.RELU,
    ),
    latent_channels=4,
    scaling_factor=None,
)


def test_no_tensor_can_be_neutral_without_a_change_of_the_output():
    autoencoder = Autoencoder(TINY).eval()
    state = random_state(autoencoder, seed=0)
    image = random_input(1, 3, 8, 8)
    with torch.inference_mode():
        autoencoder.load_state_dict(state)
        expected = autoencoder(image)
        unnoticed = []
        for name in state:
            autoencoder.load_state_dict(state | {name: skipped(name, state[name])})
            change = (autoencoder(image) - expected).norm() / expected.norm()
            if change < 1e-3:
                unnoticed.append(name)
    assert unnoticed == [name for name in state if name.endswith("num_batches_tracked")]


def test_random_values_depend_on_the_seed_and_the_name_alone():
    with torch.device("meta"):
        wide, narrow = nn.ModuleDict(), nn.ModuleDict()
        for modules in (wide, narrow):
            modules["b"] = nn.Conv2d(3, 4, 3)
        wide["a"] = nn.Conv2d(3, 4, 3)
    first, second = random_state(wide, seed=7), random_state(narrow, seed=7)
    assert torch.equal(first["b.weight"], second["b.weight"])
    assert not torch.equal(first["b.weight"], first["a.weight"])
    assert not torch.equal(first["b.weight"], random_state(narrow, seed=8)["b.weight"])


def test_activations_keep_their_order_of_magnitude_under_random_weights():
    autoencoder = Autoencoder(TINY).eval()
    autoencoder.load_state_dict(random_state(autoencoder, seed=0))
    with torch.inference_mode():
        std = autoencoder(random_input(1, 3, 16, 16)).std()
    assert 0.1 < std < 10


@pytest.mark.parametrize("config", [SMALL_DIT, SMALL_UVIT], ids=["dit", "uvit"])
def test_random_weights_of_a_transformer_give_outputs_of_the_order_of_one(config):
    deep = dataclasses.replace(config, depth=24)
    with torch.no_grad():
        std = random_transformer(deep)(*transformer_inputs(deep)).std()
    assert 0.1 < std < 10
