import dataclasses

import pytest
import torch
from small_transformers import SMALL_DIT, SMALL_UVIT, transformer_inputs

from dcae_export.models.transformer_weights import build_transformer
from dcae_export.training.initialization import initialize_transformer

WIDE_DIT = dataclasses.replace(SMALL_DIT, width=96, num_classes=200)
WIDE_UVIT = dataclasses.replace(SMALL_UVIT, width=96, num_classes=200)


def started(config, *, seed=3):
    """A network as training starts it."""
    network = build_transformer(config)
    initialize_transformer(network, seed=seed)
    return network


def test_dit_starts_with_blocks_that_are_the_identity_and_an_output_of_zero():
    network = started(SMALL_DIT)
    x, condition = torch.randn(2, 16, 24), torch.randn(2, 24)
    with torch.no_grad():
        for block in network.blocks:
            assert torch.equal(block(x, condition), x)
        assert not network(*transformer_inputs(SMALL_DIT)).any()


def test_dit_starts_with_the_published_spreads():
    network = started(WIDE_DIT)
    assert network.y_embedder.embedding_table.weight.std().item() == pytest.approx(0.02, rel=0.1)
    for layer in (network.t_embedder.mlp[0], network.t_embedder.mlp[2]):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
    fc1 = network.blocks[0].mlp.fc1.weight
    bound = (6 / (96 + 4 * 96)) ** 0.5
    assert bound * 0.99 < fc1.abs().max().item() <= bound
    patches = network.x_embedder.proj.weight
    bound = (6 / (3 * 4 + 96)) ** 0.5
    assert bound * 0.95 < patches.abs().max().item() <= bound
    biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
    assert not any(bias.any() for bias in biases)


def test_uvit_starts_with_the_published_spreads():
    network = started(WIDE_UVIT)
    for tensor in (
        network.pos_embed,
        network.mid_block.attn.qkv.weight,
        network.decoder_pred.weight,
    ):
        assert tensor.std().item() == pytest.approx(0.02, rel=0.1)
    assert network.label_emb.embedding_table.weight.std().item() == pytest.approx(1.0, rel=0.1)
    biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
    assert not any(bias.any() for bias in biases)
    assert torch.equal(network.norm.weight, torch.ones(96))


@pytest.mark.parametrize("config", [SMALL_DIT, SMALL_UVIT], ids=["dit", "uvit"])
def test_training_of_a_transformer_starts_from_the_seed_alone(config):
    first, again, other = (started(config, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if first[name].any() and first[name].unique().numel() > 1]
    assert drawn
    assert not any(torch.equal(first[name], other[name]) for name in drawn)
