"""``dcae train diffusion`` on tiny networks: each family, a resumed run, two processes, and the bundle of each."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from autoencoders import small_checkpoint
from export_factory import TINY
from program import dcae as dcae_alone
from safetensors.torch import load_file
from tiny_diffusion_training import (
    CLASSES,
    FAMILIES,
    SIDE,
    toy_latents,
    write_latents,
    write_recipe,
)
from training_kills import last_checkpoint
from training_processes import finish, start

from dcae_export.bundle.reader import Bundle
from dcae_export.cli import program
from dcae_export.cli.failures import run as run_program
from dcae_export.models.key_map import Layout
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.source import resolve_transformer
from dcae_export.models.state import encoder_digest
from dcae_export.models.transformer_weights import load_transformer
from dcae_export.models.weights import load_checkpoint, save_checkpoint
from dcae_export.parity import FP32, difference
from dcae_export.runtime.pipeline import Pipeline
from dcae_export.runtime.session import Session

pytestmark = pytest.mark.integration

SAMPLERS = {"dit": "ddpm:250", "uvit": "dpmpp-singlestep:30", "usit": "dopri5:48"}
LEARNING_STEPS = 200
LEARNING = (
    *("--steps", str(LEARNING_STEPS), "--set", f"checkpoint_every={LEARNING_STEPS}"),
    *("--set", "batch_size=16", "--set", "optimizer.learning_rate=5e-3"),
)
DCAE = ("-m", "dcae_export")
SHARDED_DCAE = Path(__file__).parents[1] / "sharded_dcae.py"
# float32 sums in another order, through four steps of AdamW.
OTHER_ORDER = 1e-4
# A mean over thousands of numbers of eight bits each.
BFLOAT16 = 0.01
# Of the first ten steps' mean loss; 0.35 to 0.55 was seen.
LEARNED = 0.7


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("diffusion")
    save_checkpoint(small_checkpoint(TINY, seed=3), folder / "autoencoder", layout=Layout.DIFFUSERS)
    own = LatentSource.of(load_checkpoint(folder / "autoencoder"))
    write_latents(folder / "latents", source=own)
    other = own.model_copy(update={"encoder_sha256": "b" * 64})
    write_latents(folder / "other", source=other)
    for family in FAMILIES:
        write_recipe(folder / f"{family}.yaml", family)
    return folder


def dcae(*arguments: str | Path, status: int = 0) -> None:
    command = [str(argument) for argument in arguments]
    assert run_program(program.dcae, prog_name="dcae", args=command) == status


def train(folder: Path, family: str, run: str, *arguments: str | Path, status: int = 0) -> Path:
    command = ("train", "diffusion", folder / f"{family}.yaml", "--out", folder / run)
    data = () if "--data" in arguments else ("--data", folder / "latents")
    dcae(*command, *data, *arguments, status=status)
    return folder / run


def losses_of(run: Path) -> list[dict[str, str]]:
    with (run / "losses.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request, folder) -> tuple[str, Path]:
    """A run of each family, long enough to learn."""
    return request.param, train(folder, request.param, request.param, *LEARNING)


def test_every_family_learns_a_toy_set(trained):
    family, run = trained
    name = "velocity" if family == "usit" else "noise"
    losses = [float(row[name]) for row in losses_of(run)]
    assert len(losses) == LEARNING_STEPS
    first, last = np.mean(losses[:10]), np.mean(losses[-30:])
    assert last < LEARNED * first


def test_a_dits_variance_is_learned_with_its_noise(trained):
    family, run = trained
    rows = losses_of(run)
    assert ("variational_bound" in rows[0]) == (family == "dit")
    if family == "dit":
        bounds = [float(row["variational_bound"]) for row in rows]
        assert np.isfinite(bounds).all()


def test_a_run_leaves_averages_and_says_what_they_are(trained, folder):
    family, run = trained
    found = resolve_transformer(str(run), name=None, autoencoder=None)
    step = f"step-{LEARNING_STEPS:06d}"
    averages = load_file(run / "checkpoints" / step / "ema.safetensors")
    assert found.state.keys() == averages.keys()
    assert all(torch.equal(found.state[name], averages[name]) for name in averages)
    assert (found.default_sampler, found.default_guidance) == (SAMPLERS[family], 1.5)
    assert found.trained_on is not None
    own = load_checkpoint(folder / "autoencoder")
    assert found.trained_on.encoder_sha256 == encoder_digest(own.state)
    said = json.loads((run / "model" / "config.json").read_text())
    assert said == json.loads((run / "transformer.json").read_text())
    assert said["class_names"] == list(CLASSES)


@pytest.fixture(scope="module")
def bundle(trained, folder) -> tuple[Path, Path]:
    """The bundle of a run, and the run."""
    family, run = trained
    target = folder / f"{family}-bundle"
    dcae(
        *("export", "--weights", folder / "autoencoder", "--transformer-weights", run),
        *("--sampler", "euler:3" if family == "usit" else "ddim:3", "--out", target),
        *("--simplifier", "none"),
    )
    return target, run


def test_a_trained_transformer_becomes_a_bundle_of_its_own_sizes(bundle):
    manifest = Bundle.open(bundle[0]).manifest
    assert manifest.model.transformer is not None
    assert (manifest.model.preset, manifest.model.transformer.preset) == ("custom", "custom")
    assert manifest.model.transformer.weights == str(bundle[1])
    assert manifest.conditioning is not None
    assert manifest.conditioning.class_names == CLASSES
    assert manifest.diffusion is not None
    assert manifest.diffusion.grid == (SIDE, SIDE)
    assert {record.graph for record in manifest.parity} == {"encoder", "decoder", "transformer"}


def test_the_bundle_computes_what_pytorch_computes_and_generates(bundle):
    target, run = bundle
    network = load_transformer(resolve_transformer(str(run), name=None, autoencoder=None))
    latents, labels = toy_latents(2, seed=9)
    times = torch.tensor([0.25, 0.75])
    pipeline = Pipeline.open(target)
    inputs = {"latent": latents.numpy(), "timestep": times.numpy(), "label": labels.numpy()}
    (found,) = Session(pipeline.bundle.check_graph("transformer")).run(inputs).values()
    with torch.no_grad():
        expected = network(latents, times, labels).numpy()
    assert difference(found, expected).within(FP32)
    pictures = pipeline.generate(["ring", "disk"], seed=0)
    assert pictures.shape == (2, SIDE * TINY.downsample, SIDE * TINY.downsample, 3)


@pytest.mark.parametrize("changed", ["weights", "scaling factor"])
def test_another_autoencoder_than_the_latents_is_refused(trained, folder, changed, capsys):
    _, run = trained
    other = folder / f"other {changed}"
    checkpoint = small_checkpoint(TINY, seed=3 if changed == "scaling factor" else 4)
    if changed == "scaling factor":
        rescaled = dataclasses.replace(TINY, scaling_factor=0.25)
        checkpoint = dataclasses.replace(checkpoint, config=rescaled)
    save_checkpoint(checkpoint, other, layout=Layout.DIFFUSERS, force=True)
    target = folder / "refused"
    arguments = ("--weights", other, "--transformer-weights", run, "--out", target)
    dcae("export", *arguments, status=3)
    error = capsys.readouterr().err.splitlines()[-1]
    assert "was trained on latents of" in error
    assert "give it its own autoencoder by --weights" in error
    assert not target.exists()


def test_a_decoder_that_was_trained_on_fits_the_latents(trained, folder):
    family, run = trained
    own, later = (small_checkpoint(TINY, seed=seed) for seed in (3, 4))
    state = {
        key: tensor if key.startswith("encoder.") else later.state[key]
        for key, tensor in own.state.items()
    }
    refined = folder / f"refined for {family}"
    save_checkpoint(dataclasses.replace(own, state=state), refined, layout=Layout.DIFFUSERS)
    target = folder / f"{family} refined"
    dcae("export", "--weights", refined, "--transformer-weights", run, "--out", target)
    assert (target / "manifest.json").is_file()


def test_a_name_that_is_not_the_runs_is_refused(trained, folder, capsys):
    _, run = trained
    arguments = ("--weights", folder / "autoencoder", "--transformer-weights", run)
    dcae("export", *arguments, "--transformer", "uvit-h", "--out", folder / "no", status=3)
    assert "a training of another network than uvit-h" in capsys.readouterr().err


@pytest.fixture(scope="module")
def whole(folder) -> Path:
    return train(folder, "dit", "whole")


def test_a_stopped_training_of_a_transformer_ends_with_the_bits_of_an_undisturbed_one(
    folder, whole
):
    run = train(folder, "dit", "parts", "--steps", "2")
    train(folder, "dit", "parts", "--resume")
    assert last_checkpoint(run) == last_checkpoint(whole)
    for name in ("config.json", "diffusion_pytorch_model.safetensors"):
        assert (run / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()


def test_blocks_that_are_computed_twice_change_no_bits(folder, whole):
    run = train(folder, "dit", "checkpointed", "--set", "checkpoint_activations=true")
    assert last_checkpoint(run) == last_checkpoint(whole)


def test_in_bfloat16_a_training_of_a_transformer_begins_as_in_float32(folder, whole):
    # In a process of its own: Accelerate keeps a process's first precision.
    run = folder / "bf16"
    arguments = ("--data", folder / "latents", "--out", run, "--set", "precision=bf16")
    dcae_alone("train", "diffusion", folder / "dit.yaml", *arguments, OMP_NUM_THREADS="1")
    first, expected = (
        {name: float(row[name]) for name in ("noise", "variational_bound")}
        for row in (losses_of(run)[0], losses_of(whole)[0])
    )
    assert first == pytest.approx(expected, rel=BFLOAT16)
    assert all(float(row["noise"]) > 0 for row in losses_of(run))


def test_a_run_does_not_go_on_with_other_latents(folder, whole, capsys):
    train(folder, "dit", "whole", "--resume", "--data", folder / "other", status=3)
    assert "was begun on other latents, autoencoder would change" in capsys.readouterr().err


def test_a_training_starts_from_another_runs_weights(folder, whole):
    settings = ("--steps", "1", "--set", "optimizer.learning_rate=1e-12", "--set", "ema=")
    run = train(folder, "dit", "started", "--init-from", whole, *settings)
    before, after = (
        resolve_transformer(str(one), name=None, autoencoder=None).state for one in (whole, run)
    )
    assert all(torch.allclose(after[name], before[name], rtol=0, atol=1e-9) for name in before)


def test_weights_of_another_size_are_no_start(folder, whole, capsys):
    settings = ("--init-from", whole, "--set", "transformer.width=64")
    train(folder, "dit", "narrow", *settings, status=3)
    assert "has width 32, this training 64" in capsys.readouterr().err
    train(folder, "uvit", "family", "--init-from", whole, status=3)
    assert "is a network of another family" in capsys.readouterr().err
    assert not (folder / "narrow").exists()


def test_a_training_without_labels_becomes_a_bundle_without(folder):
    run = train(folder, "uvit", "unlabelled", "--set", "unconditional=true")
    target = folder / "unlabelled-bundle"
    arguments = ("--weights", folder / "autoencoder", "--transformer-weights", run)
    dcae("export", *arguments, "--sampler", "ddim:3", "--simplifier", "none", "--out", target)
    manifest = Bundle.open(target).manifest
    assert manifest.conditioning is not None
    assert manifest.conditioning.kind == "none"
    assert Pipeline.open(target).generate([None, None], seed=0).shape[0] == 2


@pytest.fixture(scope="module")
def sizes(folder) -> tuple[str | Path, ...]:
    """Latents of two sizes by one autoencoder, as arguments."""
    own = LatentSource.of(load_checkpoint(folder / "autoencoder"))
    larger = write_latents(folder / "larger", source=own, side=2 * SIDE, count=20)
    return "--data", folder / "latents", "--data", larger


@pytest.fixture(scope="module")
def of_two_sizes(folder, sizes) -> Path:
    return train(folder, "uvit", "sizes", *sizes, "--set", "accumulation=3")


def test_a_stopped_training_on_two_sizes_ends_with_the_bits_of_an_undisturbed_one(
    folder, sizes, of_two_sizes
):
    run = train(
        *(folder, "uvit", "sizes-parts", *sizes, "--set", "accumulation=3"),
        *("--steps", "3", "--set", "checkpoint_every=1"),
    )
    # Nine micro-batches: five of the first folder, of 8 latents; four of the second, of 2.
    state = json.loads((run / "checkpoints" / "step-000003" / "state.json").read_text())
    assert state["positions"] == [{"batch": 9, "4x4": 40, "8x8": 8}]
    train(folder, "uvit", "sizes-parts", *sizes, "--set", "accumulation=3", "--resume")
    assert last_checkpoint(run) == last_checkpoint(of_two_sizes)


def test_a_run_on_two_sizes_goes_on_with_both_in_their_order(folder, sizes, of_two_sizes, capsys):
    for others in (sizes[:2], sizes[2:], (*sizes[2:], *sizes[:2])):
        settings = ("--set", "accumulation=3", "--resume")
        train(folder, "uvit", "sizes", *others, *settings, status=3)
        error = capsys.readouterr().err
        assert "was begun on other latents, " in error
        assert "other_grids" in error


def test_a_run_on_two_sizes_becomes_a_bundle_of_either(folder, of_two_sizes, capsys):
    arguments = ("--weights", folder / "autoencoder", "--transformer-weights", of_two_sizes)
    arguments += ("--sampler", "ddim:2", "--simplifier", "none")
    for side in (SIDE, 2 * SIDE):
        pixels = side * TINY.downsample
        target = folder / f"sizes-{pixels}"
        dcae("export", *arguments, "--size", str(pixels), "--out", target)
        assert Pipeline.open(target).generate(["ring"], seed=0).shape == (1, pixels, pixels, 3)
    unseen = str(3 * SIDE * TINY.downsample)
    dcae("export", *arguments, "--size", unseen, "--out", folder / "unseen", status=2)
    assert "--interpolate-positions stretches them" in capsys.readouterr().err


def train_in_two(folder: Path, run: str, *arguments: str, program: tuple[str, ...]) -> Path:
    """A U-ViT in two processes."""
    command = [*program, "train", "diffusion", str(folder / "uvit.yaml")]
    command += ["--data", str(folder / "latents"), "--out", str(folder / run), *arguments]
    ends = finish(start(*command, num_processes=2, ACCELERATE_USE_CPU="true"))
    assert [status for status, _, _ in ends] == [0, 0], ends
    return folder / run


@pytest.fixture(scope="module")
def of_two(folder) -> Path:
    return train_in_two(folder, "two", program=DCAE)


def test_two_processes_that_resume_a_transformer_end_as_two_that_were_not_stopped(folder, of_two):
    train_in_two(folder, "two-parts", "--steps", "2", program=DCAE)
    run = train_in_two(folder, "two-parts", "--resume", program=DCAE)
    assert last_checkpoint(run) == last_checkpoint(of_two)
    states = load_file(of_two / "checkpoints" / "step-000004" / "random.safetensors")
    assert not torch.equal(states["0.cpu"], states["1.cpu"])


def test_shards_whose_blocks_are_computed_twice_learn_what_whole_networks_learn(folder, of_two):
    checkpointed = ("--set", "checkpoint_activations=true")
    run = train_in_two(folder, "sharded", *checkpointed, program=(str(SHARDED_DCAE),))
    found, expected = (
        load_file(one / "model" / "diffusion_pytorch_model.safetensors") for one in (run, of_two)
    )
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name] - tensor).norm() < OTHER_ORDER * tensor.norm(), name
