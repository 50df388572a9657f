"""From a checkpoint to generated pictures, held to a sampling loop in PyTorch."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from autoencoders import small_checkpoint
from export_factory import TINY, photographs
from transformers_factory import (
    FLOW,
    GRID,
    LINEAR,
    SCALED_LINEAR,
    TINY_DIT,
    TINY_UVIT,
    tiny_transformer,
)

from dcae_export.errors import CancelledError, ResourceError, UsageError
from dcae_export.export.exporter import TransformerExport, export
from dcae_export.export.options import ExportOptions
from dcae_export.models.transformer_weights import load_transformer
from dcae_export.models.weights import load_autoencoder
from dcae_export.parity import Tolerance, difference
from dcae_export.runtime.pipeline import Pipeline
from dcae_export.sampling.noise import latent_noise

pytestmark = pytest.mark.integration

AUTOENCODER = small_checkpoint(TINY, seed=3)
NAMES = tuple(f"class {number}, word {number}" for number in range(10))
FLOAT32_TRAJECTORY = Tolerance(
    relative_l2=2e-5,
    max_abs=2e-4,
    because="float32 rounding of two implementations, over a few evaluations",
)
SIZE = (GRID[0] * TINY.downsample, GRID[1] * TINY.downsample)


def make(folder: Path, config, diffusion, *samplers: str, **options: object) -> Path:
    """A bundle of a tiny autoencoder and a tiny transformer."""
    checkpoint = tiny_transformer(config, diffusion, sampler=samplers[0])
    return export(
        AUTOENCODER,
        folder,
        ExportOptions(**options),
        transformer=TransformerExport(checkpoint=checkpoint, samplers=samplers, class_names=NAMES),
    )


@pytest.fixture(scope="module")
def uvit(tmp_path_factory) -> Path:
    samplers = ("dpmpp-singlestep:6", "dpmpp-2m:4", "ddim:5")
    return make(tmp_path_factory.mktemp("uvit") / "bundle", TINY_UVIT, SCALED_LINEAR, *samplers)


@pytest.fixture(scope="module")
def dit(tmp_path_factory) -> Path:
    samplers = ("ddpm:5", "ddim:4")
    return make(tmp_path_factory.mktemp("dit") / "bundle", TINY_DIT, LINEAR, *samplers)


@pytest.fixture(scope="module")
def static(tmp_path_factory) -> Path:
    return make(
        tmp_path_factory.mktemp("static") / "bundle",
        TINY_UVIT,
        SCALED_LINEAR,
        "dpmpp-singlestep:6",
        "ddim:5",
        size=SIZE,
    )


@torch.no_grad()
def ddim_in_pytorch(
    bundle: Path, config, diffusion, labels: list[int], *, steps: int, seed: int, guidance: float
) -> tuple[np.ndarray, np.ndarray]:
    """DDIM (Song et al. 2020, equation 12, eta 0) written down anew: latents and pictures."""
    network = load_transformer(tiny_transformer(config, diffusion, sampler="ddim:5"))
    manifest = Pipeline.open(bundle).bundle.manifest
    parts = diffusion.schedule
    roots = (
        np.linspace(parts.beta_start**0.5, parts.beta_end**0.5, 1000) ** 2
        if parts.kind == "scaled_linear"
        else np.linspace(parts.beta_start, parts.beta_end, 1000)
    )
    alphas = np.cumprod(1 - roots)
    times = [row.t for row in manifest.samplers.tables[f"ddim:{steps}"].rows]
    # U-ViT counts its times from 1, DiT from 0.
    indices = [round(t) - (parts.kind == "scaled_linear") for t in times]
    shape = (config.in_channels, *config.grid)
    x = torch.as_tensor(
        np.stack([latent_noise(seed + i, stream=0, shape=shape) for i in range(len(labels))])
    )
    label = torch.tensor(labels)
    null = torch.full_like(label, config.num_classes)
    for (index, t), following in itertools.zip_longest(
        zip(indices, times, strict=True), indices[1:]
    ):
        time = torch.full((len(labels),), t)
        conditional = network(x, time, label)[:, : config.in_channels]
        unconditional = network(x, time, null)[:, : config.in_channels]
        epsilon = unconditional + guidance * (conditional - unconditional)
        now = alphas[index]
        later = 1.0 if following is None else alphas[following]
        x0 = (x - (1 - now) ** 0.5 * epsilon) / now**0.5
        x = later**0.5 * x0 + (1 - later) ** 0.5 * epsilon
    image = load_autoencoder(AUTOENCODER).decoder(x / AUTOENCODER.config.scaling_factor)
    levels = (image * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    return x.numpy(), levels.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(
    ("which", "config", "diffusion", "steps"),
    [("uvit", TINY_UVIT, SCALED_LINEAR, 5), ("dit", TINY_DIT, LINEAR, 4)],
)
def test_generation_equals_a_sampling_loop_in_pytorch(which, config, diffusion, steps, request):
    bundle = request.getfixturevalue(which)
    pipeline = Pipeline.open(bundle)
    arguments = {"seed": 7, "guidance": 2.5}
    latents, pictures = ddim_in_pytorch(bundle, config, diffusion, [3, 8], steps=steps, **arguments)
    sampled = pipeline.sample([3, 8], sampler=f"ddim:{steps}", **arguments)
    found = difference(sampled, latents)
    assert found.within(FLOAT32_TRAJECTORY), str(found)
    made = pipeline.generate([3, 8], sampler=f"ddim:{steps}", **arguments)
    assert made.shape == (2, *SIZE, 3)
    assert np.abs(made.astype(int) - pictures).max() <= 1


def test_a_batch_equals_its_single_pictures(uvit):
    pipeline = Pipeline.open(uvit)
    together = pipeline.generate([1, 2, 3, 4, 5], seed=11)
    alone = [pipeline.generate([label], seed=11 + i)[0] for i, label in enumerate((1, 2, 3, 4, 5))]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 1


def test_the_number_of_threads_changes_nothing(uvit):
    one, two = (Pipeline.open(uvit, threads=n).generate([1], seed=1) for n in (1, 2))
    assert np.abs(one.astype(int) - two).max() <= 1


def test_static_and_dynamic_graphs_give_the_same_picture(uvit, static):
    dynamic = Pipeline.open(uvit).generate([1, 9], seed=2, sampler="ddim:5")
    fixed = Pipeline.open(static).generate([1, 9], seed=2, sampler="ddim:5")
    assert np.abs(dynamic.astype(int) - fixed).max() <= 1


def test_a_static_graph_runs_without_guidance_too(uvit, static):
    dynamic = Pipeline.open(uvit).generate([1, 9, 4], seed=2, sampler="ddim:5", guidance=1.0)
    fixed = Pipeline.open(static).generate([1, 9, 4], seed=2, sampler="ddim:5", guidance=1.0)
    assert np.abs(dynamic.astype(int) - fixed).max() <= 1


def test_learned_positions_are_stretched_only_when_asked(tmp_path):
    larger = (2 * SIZE[0], SIZE[1])
    with pytest.raises(UsageError, match="has positions for 12x8 pixels; --interpolate-positions"):
        make(tmp_path / "refused", TINY_UVIT, SCALED_LINEAR, "ddim:2", size=larger)
    bundle = make(
        *(tmp_path / "stretched", TINY_UVIT, SCALED_LINEAR, "ddim:2"), interpolate_positions=larger
    )
    assert Pipeline.open(bundle).generate([1]).shape == (1, *larger, 3)


def test_more_samplers_than_a_bundle_holds_are_refused_before_the_export(tmp_path):
    samplers = (f"ddim:{number}" for number in range(1, 66))
    with pytest.raises(UsageError, match="65 samplers, a bundle has at most 64"):
        make(tmp_path / "many", TINY_UVIT, SCALED_LINEAR, *samplers)


def test_features_of_the_time_come_from_the_bundle_where_the_target_takes_them(uvit, tmp_path):
    web = make(tmp_path / "web", TINY_UVIT, SCALED_LINEAR, "ddim:5", target="web")
    manifest = Pipeline.open(web).bundle.manifest
    assert manifest.samplers.tables["ddim:5"].time_features == "samplers/ddim-5.npy"
    assert "timestep" not in {port.name for port in manifest.graphs["transformer"].inputs}
    made = Pipeline.open(web).generate([1, 2], seed=3)
    expected = Pipeline.open(uvit).generate([1, 2], seed=3, sampler="ddim:5")
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_guidance_of_one_is_the_labels_half_alone(uvit):
    pipeline = Pipeline.open(uvit)
    plain = pipeline.sample([1], guidance=1.0)
    nearly = pipeline.sample([1], guidance=1.0 + 1e-6)
    assert difference(nearly, plain).relative_l2 < 1e-4
    assert difference(pipeline.sample([1], guidance=3.0), plain).relative_l2 > 1e-3


def test_every_sampler_of_a_bundle_runs_and_a_seed_is_a_picture(uvit, dit):
    for bundle in (uvit, dit):
        pipeline = Pipeline.open(bundle)
        for sampler in pipeline.samplers.tables:
            first, again, other = (
                pipeline.sample([1], seed=seed, sampler=sampler) for seed in (5, 5, 6)
            )
            assert np.array_equal(first, again)
            assert difference(other, first).relative_l2 > 0.1


def test_a_dit_generates_at_another_size(dit):
    size = (10 * TINY.downsample, 3 * TINY.downsample)
    assert Pipeline.open(dit).generate([1], size=size, sampler="ddim:4").shape == (1, *size, 3)


def test_a_flow_is_sampled_with_runge_kutta(tmp_path):
    bundle = make(tmp_path / "bundle", TINY_UVIT, FLOW, "dopri5:12", "euler:400", "heun:40")
    pipeline = Pipeline.open(bundle)
    precise = pipeline.sample([1], sampler="dopri5:12", guidance=1.0)
    euler = pipeline.sample([1], sampler="euler:400", guidance=1.0)
    assert difference(euler, precise).relative_l2 < 0.01


def test_given_noise_takes_the_place_of_the_seeds(uvit):
    pipeline = Pipeline.open(uvit)
    noise = latent_noise(21, stream=0, shape=(4, *GRID))[None]
    assert np.array_equal(
        pipeline.sample([1], latents=noise, sampler="ddim:5"),
        pipeline.sample([1], seed=21, sampler="ddim:5"),
    )
    with pytest.raises(UsageError, match=r"this request takes \[2, 4, 4, 6\]"):
        pipeline.sample([1, 2], latents=noise)


def test_a_picture_is_varied_less_the_lower_the_strength(uvit):
    pipeline = Pipeline.open(uvit)
    (image,) = photographs(1, *SIZE)
    own = pipeline._encode(image, GRID)
    weak, strong = (
        difference(
            pipeline.sample([1], image=image, strength=strength, sampler="ddim:5"), own
        ).relative_l2
        for strength in (0.2, 0.8)
    )
    assert weak < strong


def test_a_sampler_or_label_that_is_not_there_names_those_that_are(uvit):
    pipeline = Pipeline.open(uvit)
    with pytest.raises(UsageError, match="dpmpp-singlestep:6, dpmpp-2m:4, ddim:5"):
        pipeline.sample([1], sampler="euler:40")
    with pytest.raises(UsageError, match="labels are 0 to 9"):
        pipeline.sample([10])
    with pytest.raises(UsageError, match="did you mean"):
        pipeline.sample(["word 33"])


def test_a_name_is_its_number(uvit):
    pipeline = Pipeline.open(uvit)
    assert np.array_equal(pipeline.sample(["Word 3"]), pipeline.sample([3]))


def test_a_step_can_cancel(uvit):
    seen = []

    def on_step(step: int, count: int) -> bool:
        seen.append((step, count))
        return step < 2

    with pytest.raises(CancelledError):
        Pipeline.open(uvit).sample([1], on_step=on_step)
    assert seen == [(1, 6), (2, 6)]


def test_pictures_are_counted_as_they_are_decoded(dit):
    seen = []

    def on_picture(picture: int, count: int) -> bool:
        seen.append((picture, count))
        return picture < 2

    with pytest.raises(CancelledError, match="stopped after 2 of 3 pictures"):
        Pipeline.open(dit).generate([1, 2, 3], on_picture=on_picture)
    assert seen == [(1, 3), (2, 3)]


def test_pictures_that_wait_to_be_written_are_of_the_limit(dit):
    pipeline = Pipeline.open(dit, memory_limit=4_000_000)
    assert len(pipeline.generate([1] * 5)) == 5
    message = r"^100000 pictures of \d+x\d+ need .* until they are written, the limit is 3\.8 MiB; raise it or make fewer"
    with pytest.raises(ResourceError, match=message):
        pipeline.generate([1] * 100_000)
    # Latents wait for nothing.
    assert len(pipeline.sample([1])) == 1


def test_too_little_memory_names_the_sizes_that_fit(dit):
    pipeline = Pipeline.open(dit, memory_limit=400_000)
    large = (64 * TINY.downsample, 64 * TINY.downsample)
    with pytest.raises(ResourceError, match=r"128x128 needs .* up to \d+x\d+ fit"):
        pipeline.generate([1], size=large)
    with pytest.raises(ResourceError, match="no size fits"):
        Pipeline.open(dit, memory_limit=1000).generate([1])
