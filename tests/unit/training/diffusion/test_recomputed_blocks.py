import pytest
import torch
from small_transformers import SMALL_DIT, SMALL_UVIT, random_transformer, transformer_inputs

from dcae_export.models.transformer_layers import MLP
from dcae_export.training.diffusion.recomputed_blocks import recompute_blocks

CONFIGS = pytest.mark.parametrize("config", [SMALL_DIT, SMALL_UVIT], ids=["dit", "uvit"])


def trainable(config):
    return random_transformer(config).train().requires_grad_()


def gradients(network):
    network(*transformer_inputs(network.config)).square().mean().backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


@CONFIGS
def test_gradients_have_the_bits_of_blocks_that_keep_everything(config):
    plain, recomputed = trainable(config), trainable(config)
    recompute_blocks(recomputed)
    expected, found = gradients(plain), gradients(recomputed)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient), name


@CONFIGS
def test_every_block_runs_a_second_time_and_names_stay(config):
    network = trainable(config)
    names = list(network.state_dict())
    recompute_blocks(network)
    assert list(network.state_dict()) == names
    calls: list[str] = []
    mlps = [name for name, part in network.named_modules() if isinstance(part, MLP)]
    for name in mlps:
        # As it begins: the second run ends where the last number that is needed is there.
        part = network.get_submodule(name)
        part.register_forward_pre_hook(lambda *_, name=name: calls.append(name))
    gradients(network)
    assert sorted(calls) == sorted(2 * mlps)
