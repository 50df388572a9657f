"""Our DiT against diffusers' own, with the same weights."""

import pytest
import torch
from diffusers import DiTTransformer2DModel
from small_transformers import random_transformer, transformer_inputs
from torch import Tensor, nn

from dcae_export.models.dit import DiT, DiTConfig
from dcae_export.models.transformer_presets import transformer_preset
from dcae_export.parity import FP32, difference

pytestmark = pytest.mark.integration

_BLOCK_NAMES = {
    "adaLN_modulation.1": "norm1.linear",
    "attn.proj": "attn1.to_out.0",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
}
_OUTER_NAMES = {
    "x_embedder.proj": "pos_embed.proj",
    "final_layer.adaLN_modulation.1": "proj_out_1",
    "final_layer.linear": "proj_out_2",
}
# diffusers embeds timestep and label once for each block, with weights of their own.
_CONDITION_NAMES = {
    "t_embedder.mlp.0": "timestep_embedder.linear_1",
    "t_embedder.mlp.2": "timestep_embedder.linear_2",
    "y_embedder.embedding_table": "class_embedder.embedding_table",
}


def their_state(ours: DiT) -> dict[str, Tensor]:
    """Our weights under diffusers' names."""
    state: dict[str, Tensor] = {}
    for key, tensor in ours.state_dict().items():
        module, _, attribute = key.rpartition(".")
        if module in _OUTER_NAMES:
            state[f"{_OUTER_NAMES[module]}.{attribute}"] = tensor
        elif module in _CONDITION_NAMES:
            for block in range(ours.config.depth):
                name = f"transformer_blocks.{block}.norm1.emb.{_CONDITION_NAMES[module]}"
                state[f"{name}.{attribute}"] = tensor
        else:
            _, block, part = module.split(".", 2)
            prefix = f"transformer_blocks.{block}"
            if part == "attn.qkv":
                for name, rows in zip("qkv", tensor.chunk(3), strict=True):
                    state[f"{prefix}.attn1.to_{name}.{attribute}"] = rows
            else:
                state[f"{prefix}.{_BLOCK_NAMES[part]}.{attribute}"] = tensor
    return state


def theirs_with_weights_of(ours: DiT) -> nn.Module:
    """diffusers' network; the norms' epsilon and the timestep's frequencies are not its defaults but DiT's own."""
    config = ours.config
    theirs = DiTTransformer2DModel(
        num_attention_heads=config.heads,
        attention_head_dim=config.width // config.heads,
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        num_layers=config.depth,
        sample_size=config.grid[0],
        patch_size=config.patch,
        num_embeds_ada_norm=config.num_classes,
        norm_eps=1e-6,
    )
    theirs.load_state_dict(their_state(ours), strict=True, assign=True)
    for block in theirs.transformer_blocks:
        block.norm1.emb.time_proj.downscale_freq_shift = 0
    return theirs.eval().requires_grad_(requires_grad=False)


def assert_same(config: DiTConfig, *, batch: int) -> None:
    ours = random_transformer(config, seed=1)
    theirs = theirs_with_weights_of(ours)
    latent, timestep, label = transformer_inputs(config, batch=batch)
    with torch.inference_mode():
        expected = theirs(latent, timestep, label).sample.numpy()
        found = difference(ours(latent, timestep, label).numpy(), expected)
    assert found.within(FP32), str(found)


@pytest.mark.parametrize("learned_variance", [False, True])
@pytest.mark.parametrize("patch", [1, 2])
def test_a_small_dit_computes_what_diffusers_does(patch, learned_variance):
    config = DiTConfig(
        in_channels=4,
        patch=patch,
        depth=3,
        width=48,
        heads=4,
        num_classes=7,
        learned_variance=learned_variance,
        grid=(6, 6),
    )
    assert_same(config, batch=3)


@pytest.mark.slow
def test_the_full_dit_xl_computes_what_diffusers_does():
    config = transformer_preset("dit-xl", autoencoder="f32").config
    assert isinstance(config, DiTConfig)
    assert_same(config, batch=2)
