"""Which blocks of every family stay float32: every published form, at a sixteenth of its widths."""

import pytest
import torch
from autoencoders import TINY_SD_VAE, shrink, small_checkpoint
from torch import nn

from dcae_export.export.autoencoder_jobs import autoencoder_jobs
from dcae_export.export.mixed_precision import Mixed, mix, small_cases
from dcae_export.export.options import ExportOptions
from dcae_export.export.precision_blocks import Blocks, blocks_of
from dcae_export.export.precision_plan import CALIBRATED_MAX, FLOAT16_MAX
from dcae_export.export.rewrite import rewrite_module
from dcae_export.export.target import TARGETS
from dcae_export.models.autoencoder import AutoencoderConfig
from dcae_export.models.dit import DiTConfig
from dcae_export.models.network import NetworkConfig, build
from dcae_export.models.presets import PRESETS
from dcae_export.models.transformer_presets import TRANSFORMERS, transformer_preset
from dcae_export.models.transformer_weights import build_transformer
from dcae_export.parity import tolerance_of

pytestmark = pytest.mark.integration

# A decoder's fp32 blocks that calibration finds with random weights, which no norm before a branch holds back: the
# products of two gated activations, ten times as far out as the data. All are a third or more above the limit.
FOUND = {
    "dc-ae-f32c32-in-1.0": ["stages.3.1", "stages.4.1"],
    "dc-ae-f64c128-in-1.0": ["stages.3.1", "stages.4.1", "stages.5.1", "stages.6.0"],
    "dc-ae-f128c512-in-1.0": [
        *("stages.3.1", "stages.4.1", "stages.5.1", "stages.6.1"),
        "stages.7.0",
    ],
    "dc-ae-f32c32-sana-1.0": ["stages.3.1", "stages.4.1"],
    "dc-ae-f32c32-sana-1.1": ["stages.3.1", "stages.4.1"],
    "dc-ae-lite-f32c32-sana-1.1": [],
    "dc-ae-f32c128-1.5": [],
    "dc-ae-f64c128-1.5": [],
}
VAE_ENDS = ["network.conv_norm_out", "network.conv_out"]


def mixed(config: NetworkConfig) -> dict[str, Mixed]:
    options = ExportOptions(target="cuda", precision="fp16")
    made: dict[str, Mixed] = {}
    for job in autoencoder_jobs(small_checkpoint(config), options):
        small = small_cases(job.module, job.small, job.trajectory)
        rewrite_module(job.module, TARGETS["cuda"])
        output = job.signature.output
        tolerance = tolerance_of(output.name, output.dtype, precision="fp16")
        made[job.name] = mix(job.module, small, [], graph=job.name, tolerance=tolerance)
    return made


def found_blocks(plan: Mixed) -> list[str]:
    assert all(one.max_abs is None or one.max_abs > CALIBRATED_MAX for one in plan.plan.fp32)
    return [one.block for one in plan.plan.fp32 if one.max_abs is not None]


def fixed_blocks(plan: Mixed) -> list[str]:
    return [one.block for one in plan.plan.fp32 if one.max_abs is None]


@pytest.mark.parametrize("name", FOUND)
def test_a_dc_ae_is_float16_within_its_bounds_but_for_these_blocks(name):
    made = mixed(shrink(PRESETS[name].config, depth=1))
    assert found_blocks(made["encoder"]) == []
    assert found_blocks(made["decoder"]) == FOUND[name]
    assert fixed_blocks(made["encoder"]) == ["conv_out"]
    assert fixed_blocks(made["decoder"]) == ["norm_out", "conv_out"]
    assert all(one.cosine > 0.9999 for one in made["encoder"].parity)
    assert all(one.psnr_db > 60 for one in made["decoder"].parity)


def test_an_sd_vae_is_float16_within_its_bounds():
    made = mixed(TINY_SD_VAE)
    assert found_blocks(made["encoder"]) == found_blocks(made["decoder"]) == []
    assert fixed_blocks(made["encoder"]) == [*VAE_ENDS, "quant_conv"]
    assert fixed_blocks(made["decoder"]) == VAE_ENDS
    # Every block of every stage is one of its own, those in the middle last.
    assert made["decoder"].plan.fp16[:2] == ("post_quant_conv", "network.conv_in")
    assert made["decoder"].plan.fp16[-3:] == (
        "network.mid_block.attentions.0",
        "network.mid_block.resnets.0",
        "network.mid_block.resnets.1",
    )
    assert "network.up_blocks.0.upsamplers.0" in made["decoder"].plan.fp16


# Which blocks are float32 in every mixed graph of a family: what stands at its ends.
ENDS = {
    "dc-ae encoder": ("conv_out",),
    "dc-ae decoder": ("norm_out", "conv_out"),
    "sd-vae encoder": (*VAE_ENDS, "quant_conv"),
    "sd-vae decoder": tuple(VAE_ENDS),
    "DiT": ("x_embedder", "t_embedder", "y_embedder", "final_layer"),
    "U-ViT": ("patch_embed", "time_features", "label_emb", "norm", "decoder_pred"),
}


def outside(network: nn.Module, blocks: Blocks) -> list[str]:
    """Modules with weights that are in no block: they are float32 and nobody's choice."""
    inside = tuple(f"{name}." for name in (*blocks.free, *blocks.fixed))
    names = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    return sorted(name for name in names if not f"{name}.".startswith(inside))


@pytest.mark.parametrize("name", PRESETS)
def test_every_published_autoencoder_has_the_blocks_of_its_family(name):
    config = PRESETS[name].config
    family = "dc-ae" if isinstance(config, AutoencoderConfig) else "sd-vae"
    with torch.device("meta"):
        whole = build(config)
    for half in ("encoder", "decoder"):
        network = whole.get_submodule(half)
        blocks = blocks_of(network)
        assert blocks.fixed == ENDS[f"{family} {half}"]
        assert not set(blocks.free) & set(blocks.fixed)
        assert outside(network, blocks) == []


@pytest.mark.parametrize("name", [*TRANSFORMERS, "usit-demo"])
def test_every_published_transformer_has_the_blocks_of_its_family(name):
    of_demo = {"usit-demo": "f64-demo"}
    preset = TRANSFORMERS.get(name) or transformer_preset(name, autoencoder=of_demo[name])
    with torch.device("meta"):
        network = build_transformer(preset.config)
    blocks = blocks_of(network)
    is_dit = isinstance(preset.config, DiTConfig)
    assert blocks.fixed == ENDS["DiT" if is_dit else "U-ViT"]
    assert len(blocks.free) == preset.config.depth + (0 if is_dit else preset.config.depth % 2 == 0)
    # A U-ViT's learned positions are a parameter of the network itself.
    assert outside(network, blocks) in ([], [""])


def test_some_of_these_blocks_would_overflow_and_not_only_come_near():
    made = mixed(shrink(PRESETS["dc-ae-f64c128-in-1.0"].config, depth=1))
    most = {one.block: one.max_abs for one in made["decoder"].plan.fp32 if one.max_abs is not None}
    assert sum(value > FLOAT16_MAX for value in most.values()) >= 3
