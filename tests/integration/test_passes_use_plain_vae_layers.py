"""SD-VAE's layers in the exporter's form compute what diffusers' own do."""

import pytest
from autoencoders import TINY_SD_VAE, random_input
from export_factory import assert_equal, output, randomized
from torch import nn

from dcae_export.export.passes.fold_upsampling import PhaseConv, fold_upsampling
from dcae_export.export.passes.use_plain_vae_layers import (
    PlainAttention,
    PlainGroupNorm,
    use_plain_vae_layers,
)
from dcae_export.models.layers import InterpolateConv
from dcae_export.models.sd_vae import SDVAE

# diffusers takes seconds to import.
pytestmark = pytest.mark.integration

GRIDS = [(1, 1), (2, 3)]


@pytest.fixture
def network() -> SDVAE:
    return randomized(SDVAE(TINY_SD_VAE))


def classes(module: nn.Module) -> set[type]:
    return {type(part) for part in module.modules()}


@pytest.mark.parametrize("grid", GRIDS)
def test_both_halves_compute_the_same_before_and_after(network, grid):
    image = random_input(2, 3, *(TINY_SD_VAE.downsample * side for side in grid)).double()
    latent = random_input(2, TINY_SD_VAE.latent_channels, *grid).double()
    encoded, decoded = output(network.encoder, image), output(network.decoder, latent)
    use_plain_vae_layers(network)
    assert_equal(output(network.encoder, image), encoded)
    assert_equal(output(network.decoder, latent), decoded)
    fold_upsampling(network)
    assert_equal(output(network.decoder, latent), decoded)


def test_no_layer_is_left_that_a_trace_would_bind_to_a_size(network):
    use_plain_vae_layers(network)
    kinds = {kind.__name__ for kind in classes(network)}
    assert not kinds & {"Attention", "Upsample2D", "GroupNorm"}
    assert {PlainAttention, PlainGroupNorm, InterpolateConv} <= classes(network)
    fold_upsampling(network)
    assert PhaseConv in classes(network)
    assert InterpolateConv not in classes(network)


def test_the_checkpoints_own_tensors_are_left_alone(network):
    kept = {name: (tensor, tensor.clone()) for name, tensor in network.state_dict().items()}
    use_plain_vae_layers(network)
    fold_upsampling(network)
    assert all(tensor.equal(copy) for tensor, copy in kept.values())


def test_a_group_norm_of_another_network_stays():
    module = nn.Sequential(nn.GroupNorm(2, 4))
    use_plain_vae_layers(module)
    assert classes(module) == {nn.Sequential, nn.GroupNorm}
