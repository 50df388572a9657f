"""A module becomes a mixed one: what calibration decides, and what is proved of it."""

import numpy as np
import pytest
import torch
from export_factory import TINY
from transformers_factory import FLOW, LINEAR, SCALED_LINEAR, TINY_DIT, TINY_UVIT, tiny_transformer

from dcae_export.errors import ExportError, ParityError
from dcae_export.export.graph_export import GraphJob
from dcae_export.export.mixed_precision import Mixed, beyond, mix, small_cases
from dcae_export.export.options import ExportOptions
from dcae_export.export.precision_plan import CALIBRATED_MAX
from dcae_export.export.rewrite import rewrite_module
from dcae_export.export.target import TARGETS
from dcae_export.export.transformer_job import transformer_job
from dcae_export.parity import FP16_LATENTS, FP32, Tolerance

pytestmark = pytest.mark.integration

OPTIONS = ExportOptions(target="cuda", precision="fp16")
UVIT_FIXED = ["patch_embed", "time_features", "label_emb", "norm", "decoder_pred"]
DIT_FIXED = ["x_embedder", "t_embedder", "y_embedder", "final_layer"]


def job(config=TINY_UVIT, diffusion=SCALED_LINEAR) -> GraphJob:
    return transformer_job(tiny_transformer(config, diffusion, sampler="dpmpp-2m:4"), OPTIONS, TINY)


def mixed(made: GraphJob, *, tolerance: Tolerance = FP16_LATENTS) -> Mixed:
    small = small_cases(made.module, made.small, made.trajectory)
    rewrite_module(made.module, TARGETS["cuda"])
    return mix(made.module, small, small.cases, graph="transformer", tolerance=tolerance)


def fp32_blocks(found: Mixed) -> dict[str, float | None]:
    return {block.block: block.max_abs for block in found.plan.fp32}


@pytest.mark.parametrize(
    ("config", "diffusion", "fp16", "fp32"),
    [
        (TINY_DIT, LINEAR, ["blocks.0", "blocks.1"], DIT_FIXED),
        (TINY_UVIT, SCALED_LINEAR, ["in_blocks.0", "mid_block", "out_blocks.0"], UVIT_FIXED),
        (TINY_UVIT, FLOW, ["in_blocks.0", "mid_block", "out_blocks.0"], UVIT_FIXED),
    ],
    ids=["DiT", "U-ViT", "USiT"],
)
def test_the_blocks_of_a_transformer_are_float16_and_its_ends_float32(
    config, diffusion, fp16, fp32
):
    found = mixed(job(config, diffusion))
    assert list(found.plan.fp16) == fp16
    assert fp32_blocks(found) == dict.fromkeys(fp32)


def test_a_run_of_twenty_evaluations_is_held_to_its_own_bound():
    *cases, run = mixed(job()).parity
    assert [case.input.partition(" [")[0] for case in cases] == ["noise", "noise, single"]
    assert run.input == "a run of dpmpp-2m:20 [1, 4, 4, 6]"
    assert [case.tolerance.cosine for case in (*cases, run)] == [0.999, 0.999, 0.99]
    assert all(0.999 < case.cosine < 1 for case in (*cases, run))
    assert all(case.runtime.startswith(f"PyTorch {torch.__version__} cpu") for case in cases)


def test_a_block_whose_activations_reach_too_far_is_float32_and_its_figure_is_kept():
    made = job()
    with torch.no_grad():
        # Inside of the block alone: what goes back to the stream is as large as before.
        made.module.mid_block.mlp.fc1.weight *= 2.0**14
        made.module.mid_block.mlp.fc2.weight *= 2.0**-14
    found = mixed(made)
    assert list(found.plan.fp16) == ["in_blocks.0", "out_blocks.0"]
    most = fp32_blocks(found).pop("mid_block")
    assert most is not None
    assert most > CALIBRATED_MAX


def test_a_network_of_which_no_block_fits_is_refused_with_the_way_out():
    made = job()
    with torch.no_grad():
        for block in (*made.module.in_blocks, made.module.mid_block, *made.module.out_blocks):
            block.attn.qkv.weight *= 1e7
    with pytest.raises(ExportError, match=r"^transformer: activations of every block .* fp32$"):
        mixed(made)


def test_float16_that_costs_more_than_its_bound_is_refused():
    with pytest.raises(ParityError, match=r"^transformer: noise \[2, 4, 4, 6\]: relative L2 "):
        mixed(job(), tolerance=FP32)


def test_the_rounded_module_is_computed_in_float32():
    made = job()
    exact = small_cases(made.module, made.small, None).cases
    found = mixed(made)
    for case, rounded in zip(exact, found.rounded, strict=True):
        error = np.abs(rounded - case.expected).max()
        assert 0 < error < 0.02
        # On the way to the next float16 nothing else was rounded.
        assert not np.array_equal(rounded, rounded.astype(np.float16).astype(np.float32))


def test_afterwards_the_module_is_in_float16():
    made = job()
    mixed(made)
    weights = {name: weight.dtype for name, weight in made.module.named_parameters()}
    assert weights["mid_block.block.attn.qkv.weight"] is torch.float16
    assert weights["decoder_pred.block.weight"] is torch.float32
    assert weights["pos_embed"] is torch.float32


def test_calibration_sees_data_states_of_the_sampler_and_ten_times_both():
    made = job()
    small = small_cases(made.module, made.small, made.trajectory)
    seen = [float(inputs["latent"].abs().max()) for inputs in small.calibration()]
    assert len(seen) == 2 * (len(made.small) + 4)
    half = len(seen) // 2
    assert seen[half:] == pytest.approx([10 * most for most in seen[:half]])


def test_pictures_have_no_values_beyond_black_and_white():
    levels = torch.tensor([0, 100, 200, 255], dtype=torch.uint8)
    assert beyond({"image": levels})["image"].tolist() == [0, 0, 255, 255]
    assert beyond({"image": levels})["image"].dtype is torch.uint8
    values = torch.tensor([-1.0, -0.1, 0.2])
    assert beyond({"image": values})["image"].tolist() == [-1, -1, 1]
    other = torch.tensor([3.0])
    assert beyond({"timestep": other})["timestep"] is other


def test_a_large_grid_is_tried_on_a_small_one():
    wide = tiny_transformer(TINY_UVIT, SCALED_LINEAR, sampler="dpmpp-2m:4")
    made = transformer_job(
        wide,
        ExportOptions(target="cuda", precision="fp16", interpolate_positions=(2 * 20, 2 * 6)),
        TINY,
    )
    assert {tuple(case["latent"].shape[2:]) for case in made.small.values()} == {(8, 6)}
    assert made.trajectory is not None
    assert made.trajectory.latent == (1, 4, 8, 6)


def test_a_graph_in_float32_tries_nothing_on_small_inputs():
    checkpoint = tiny_transformer(TINY_UVIT, SCALED_LINEAR, sampler="dpmpp-2m:4")
    made = transformer_job(checkpoint, ExportOptions(target="cuda"), TINY)
    assert made.small == {}
    assert made.trajectory is None
