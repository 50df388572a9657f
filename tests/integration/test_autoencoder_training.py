"""``dcae train autoencoder`` on a tiny network: each phase, a resumed run, and the bundle of what it leaves."""

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_autoencoder_training import (
    tiny_start,
    write_photographs,
    write_recipe,
    write_start,
)

from dcae_export.bundle.reader import Bundle
from dcae_export.cli import program
from dcae_export.cli.failures import run as run_program
from dcae_export.models.key_map import Layout
from dcae_export.models.network import entries
from dcae_export.models.weights import load_autoencoder, load_checkpoint

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    write_photographs(folder / "pictures")
    write_start(folder / "start")
    for phase in ("full", "latent-adaptation", "local-refinement"):
        write_recipe(folder / f"{phase}.yaml", phase)
    return folder


def dcae(*arguments: str) -> None:
    assert run_program(program.dcae, prog_name="dcae", args=list(arguments)) == 0


def train(folder: Path, phase: str, run: str, *arguments: str) -> Path:
    command = ["train", "autoencoder", str(folder / f"{phase}.yaml")]
    command += ["--data", str(folder / "pictures"), "--out", str(folder / run)]
    dcae(*command, *arguments)
    return folder / run


@pytest.fixture(scope="module")
def full(folder) -> Path:
    return train(folder, "full", "full", "--init-from", str(folder / "start"))


def losses_of(run: Path) -> list[dict[str, str]]:
    with (run / "losses.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_averaged_weights_and_the_measured_scaling_factor(full):
    checkpoint = load_checkpoint(full / "model")
    averages = load_file(full / "checkpoints" / "step-000004" / "ema.safetensors")
    for name, average in averages.items():
        torch.testing.assert_close(
            checkpoint.state[name.removeprefix("network.")], average, rtol=0, atol=0
        )
    network = load_autoencoder(checkpoint)
    with torch.no_grad():
        latents = network.encode(torch.randn(1, 3, 64, 64).clamp(-1, 1))
    assert latents.isfinite().all()
    assert checkpoint.config.scaling_factor != tiny_start().config.scaling_factor


def test_a_run_can_be_looked_at(full):
    rows = losses_of(full)
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert all(float(row["l1"]) > 0 and float(row["perceptual"]) > 0 for row in rows)
    for name in ("losses.png", "samples.png", "samples/step-000002.png", "samples/step-000004.png"):
        assert (full / name).stat().st_size > 1000
    assert "broken.png" in (full / "skipped.csv").read_text()


def test_a_resumed_run_ends_with_the_bits_of_an_undisturbed_one(folder, full):
    run = train(folder, "full", "resumed", "--init-from", str(folder / "start"), "--steps", "2")
    train(folder, "full", "resumed", "--resume")
    for name in ("network", "ema", "network.optimizer"):
        found, expected = (
            load_file(one / "checkpoints" / "step-000004" / f"{name}.safetensors")
            for one in (run, full)
        )
        assert found.keys() == expected.keys()
        for key, tensor in expected.items():
            assert torch.equal(found[key], tensor), f"{name}: {key}"
    assert (run / "model" / "config.json").read_text() == (
        full / "model" / "config.json"
    ).read_text()


@pytest.mark.parametrize(
    ("phase", "moved"),
    [
        (
            "latent-adaptation",
            ("encoder.stages.5", "encoder.conv_out", "decoder.conv_in", "decoder.stages.5"),
        ),
        ("local-refinement", ("decoder.norm_out", "decoder.conv_out")),
    ],
)
def test_a_later_phase_changes_its_own_parts_only(folder, full, phase, moved):
    run = train(folder, phase, phase, "--init-from", str(full))
    before, after = (load_checkpoint(one / "model") for one in (full, run))
    changed = {
        name for name, tensor in after.state.items() if not torch.equal(tensor, before.state[name])
    }
    assert changed
    assert all(name.startswith(moved) for name in changed), sorted(changed)
    # Where the latents stay, so does their scaling factor.
    kept = after.config.scaling_factor == before.config.scaling_factor
    assert kept == (phase == "local-refinement")


def test_the_discriminator_trains_from_its_start_step_on(folder, full):
    run = folder / "local-refinement"
    if not run.exists():
        train(folder, "local-refinement", "local-refinement", "--init-from", str(full))
    first, second, third, fourth = losses_of(run)
    assert not first["discriminator"]
    assert not second["discriminator"]
    for row in (third, fourth):
        assert 0 < float(row["discriminator"]) < 10
        assert float(row["adaptive_weight"]) > 0
    states = [
        load_file(run / "checkpoints" / f"step-00000{step}" / "discriminator.safetensors")
        for step in (2, 4)
    ]
    assert all(not torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_a_run_becomes_a_bundle(folder, full):
    target = folder / "bundle"
    dcae("export", "--weights", str(full), "--out", str(target))
    manifest = Bundle.open(target).manifest
    config = json.loads((full / "model" / "config.json").read_text())
    assert manifest.latent.scaling_factor == config["scaling_factor"]
    assert not manifest.model.has_random_weights


def test_the_model_has_every_tensor_of_the_network(full):
    checkpoint = load_checkpoint(full / "model")
    names = {name for entry in entries(checkpoint.config, Layout.DIFFUSERS) for name in entry.names}
    stored = load_file(full / "model" / "diffusion_pytorch_model.safetensors")
    assert set(stored) == names
