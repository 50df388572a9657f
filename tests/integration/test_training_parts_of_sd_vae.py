"""The baselines train as DC-AE does: their parts, their phases, their start."""

import copy

import pytest
import torch
from autoencoders import TINY_SD_VAE, random_input
from torch import nn

from dcae_export.models.random_weights import random_state
from dcae_export.models.sd_vae import SDVAE
from dcae_export.training.autoencoder.parts import parts
from dcae_export.training.autoencoder.phases import Phase, PhaseNetwork
from dcae_export.training.initialization import initialize

pytestmark = pytest.mark.integration

IMAGE = random_input(2, 3, 16, 24).double()
# Group norms add up in another order where their input has another memory layout; in float64.
OTHER_ORDER = 1e-10
# A shift of all scores of a query, which the softmax takes out again: its gradient is rounding.
NO_EFFECT = [f"{side}.network.mid_block.attentions.0.to_k.bias" for side in ("encoder", "decoder")]

ENCODER_OUT = [
    f"encoder.{name}.{tensor}"
    for name in ("network.conv_norm_out", "network.conv_out", "quant_conv")
    for tensor in ("weight", "bias")
]
DECODER_IN = [
    f"decoder.{name}.{tensor}"
    for name in ("network.conv_in", "post_quant_conv")
    for tensor in ("weight", "bias")
]
DECODER_OUT = [
    f"decoder.network.{name}.{tensor}"
    for name in ("conv_norm_out", "conv_out")
    for tensor in ("weight", "bias")
]


def tiny() -> SDVAE:
    network = SDVAE(TINY_SD_VAE)
    network.load_state_dict(random_state(network, seed=1))
    return network.double()


def loss_of(network: nn.Module) -> torch.Tensor:
    return (network(IMAGE) - IMAGE).square().mean()


def test_the_parts_in_sequence_are_the_network():
    network = tiny().eval()
    halves = parts(network)
    with torch.inference_mode():
        latent = network.encode(IMAGE)
        assert torch.equal(nn.Sequential(*halves.encoder)(IMAGE), latent)
        assert torch.equal(nn.Sequential(*halves.decoder)(latent), network.decode(latent))


def test_every_tensor_is_in_exactly_one_part_of_its_half():
    network = tiny()
    halves = parts(network)
    for modules, half in ((halves.encoder, network.encoder), (halves.decoder, network.decoder)):
        in_parts = [id(parameter) for part in modules for parameter in part.parameters()]
        assert sorted(in_parts) == sorted(id(parameter) for parameter in half.parameters())
    assert len(halves.encoder) == len(halves.decoder) == len(TINY_SD_VAE.block_out_channels) + 3


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize(
    ("phase", "moves"),
    [
        (Phase.FULL, [name for name, _ in tiny().named_parameters()]),
        (Phase.LATENT_ADAPTATION, ENCODER_OUT + DECODER_IN),
        (Phase.LOCAL_REFINEMENT, DECODER_OUT),
    ],
    ids=lambda value: value.value if isinstance(value, Phase) else "",
)
def test_one_step_moves_what_the_phase_trains_by_the_gradients_of_the_whole(
    phase, moves, checkpoint
):
    network = PhaseNetwork(tiny(), phase, checkpoint_activations=checkpoint)
    whole = copy.deepcopy(network.network).requires_grad_(requires_grad=True)
    loss_of(whole).backward()
    expected = {name: parameter.grad for name, parameter in whole.named_parameters()}
    before = copy.deepcopy(network.network.state_dict())
    loss_of(network).backward()
    trained = dict(network.trained_parameters())
    assert sorted(trained) == sorted(moves)
    for name in set(trained) - set(NO_EFFECT):
        error = (trained[name].grad - expected[name]).norm() / expected[name].norm()
        assert error < OTHER_ORDER, name
    torch.optim.SGD(trained.values(), lr=0.1).step()
    after = network.network.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved | set(NO_EFFECT) == set(moves) | set(NO_EFFECT)


def test_the_last_weight_is_that_of_the_decoders_last_convolution():
    network = PhaseNetwork(tiny(), Phase.FULL)
    assert network.last_weight is network.network.decoder.network.conv_out.weight


def test_training_from_scratch_starts_sane_and_every_weight_moves():
    network = SDVAE(TINY_SD_VAE).double()
    initialize(network, seed=0)
    before = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        latent = network.encode(IMAGE)
        assert 0.1 < latent.var() < 10
        assert 0.1 < network.decode(latent).var() < 10
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    # First the ends of the branches, which are 0, then what is before them.
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(network).backward()
        optimizer.step()
    unmoved = {n for n, p in network.state_dict().items() if torch.equal(p, before[n])}
    assert unmoved <= set(NO_EFFECT)


def test_every_residual_branch_starts_as_zero():
    network = SDVAE(TINY_SD_VAE)
    initialize(network, seed=0)
    for module in network.modules():
        if type(module).__name__ == "ResnetBlock2D":
            assert not module.conv2.weight.any()
        elif type(module).__name__ == "Attention":
            x = random_input(1, module.to_q.in_features, 3, 2)
            with torch.no_grad():
                assert torch.equal(module(x), x)
