"""A training that was killed ends with the bits of one that was not."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from death_at_step import dies_before, needs_fork
from tiny_autoencoder_training import write_photographs, write_recipe, write_start
from tiny_diffusion_training import write_latents
from tiny_diffusion_training import write_recipe as write_diffusion_recipe
from training_kills import environment, kill_at_random, last_checkpoint

from dcae_export.training.engine.run_folder import RunFolder

_TINY = Path(__file__).parents[1] / "tiny_training.py"


@dataclass(frozen=True)
class _Case:
    """A training that is killed.

    ``command`` goes on with a run, or begins it. ``longest_wait_s`` is about what a step and a checkpoint take
    together, ``num_files`` what a checkpoint has.
    """

    command: Callable[[Path], list[str]]
    steps: int
    longest_wait_s: float
    num_files: int


def _engine_alone(run: Path) -> list[str]:
    return [
        sys.executable,
        str(_TINY),
        str(run),
        "--resume",
        "--steps=60",
        "--checkpoint-every=2",
    ]


def _dcae_train(run: Path) -> list[str]:
    """The program on a tiny autoencoder, in its last phase: two networks, two optimizers, a folder of pictures."""
    inputs = run.parent / "inputs"
    recipe = inputs / "recipe.yaml"
    if not inputs.exists():
        inputs.mkdir()
        write_photographs(inputs / "pictures")
        write_start(inputs / "start")
        write_recipe(recipe, "local-refinement", steps=40)
    command = [sys.executable, "-m", "dcae_export", "train", "autoencoder", str(recipe)]
    command += ["--data", str(inputs / "pictures"), "--out", str(run)]
    return [*command, *(["--resume"] if run.exists() else ["--init-from", str(inputs / "start")])]


def _dcae_train_diffusion(run: Path) -> list[str]:
    """The program on a tiny transformer and a folder of latents."""
    inputs = run.parent / "diffusion"
    if not inputs.exists():
        inputs.mkdir()
        write_latents(inputs / "latents")
        write_diffusion_recipe(inputs / "recipe.yaml", "dit")
    command = [sys.executable, "-m", "dcae_export", "train", "diffusion"]
    command += [str(inputs / "recipe.yaml"), "--data", str(inputs / "latents"), "--steps=40"]
    return [*command, "--out", str(run), *(["--resume"] if run.exists() else [])]


ENGINE_ALONE = _Case(command=_engine_alone, steps=60, longest_wait_s=0.15, num_files=8)
DCAE_TRAIN = _Case(command=_dcae_train, steps=40, longest_wait_s=0.5, num_files=8)
DCAE_TRAIN_DIFFUSION = _Case(
    command=_dcae_train_diffusion, steps=40, longest_wait_s=0.15, num_files=6
)


def _check_kills(case: _Case, folder: Path, *, times: int) -> None:
    killed, undisturbed = folder / "killed", folder / "undisturbed"
    subprocess.run(
        case.command(undisturbed), env=environment(), check=True, stdout=subprocess.DEVNULL
    )
    kills = kill_at_random(
        case.command,
        killed,
        steps=case.steps,
        times=times,
        longest_wait_s=case.longest_wait_s,
        seed=times,
    )
    # Steps are drawn up to the last: then a process may come to its end before its moment.
    assert kills > times / 2
    expected, found = last_checkpoint(undisturbed), last_checkpoint(killed)
    assert len(expected) == case.num_files
    assert found == expected
    assert not [path for path in (killed / "checkpoints").iterdir() if path.suffix == ".partial"]


@pytest.mark.integration
def test_a_training_killed_three_times_ends_with_the_bits_of_an_undisturbed_one(tmp_path: Path):
    _check_kills(ENGINE_ALONE, tmp_path, times=3)


@pytest.mark.soak
@pytest.mark.parametrize(
    "case",
    [ENGINE_ALONE, DCAE_TRAIN, DCAE_TRAIN_DIFFUSION],
    ids=["engine", "autoencoder", "diffusion"],
)
def test_a_training_killed_twenty_times_ends_with_the_bits_of_an_undisturbed_one(
    tmp_path: Path, case
):
    _check_kills(case, tmp_path, times=20)


def _write(folder: RunFolder, *steps: int) -> None:
    for step in steps:
        arrays = {"network": {"weight": torch.full((4,), float(step))}}
        folder.write(step=step, arrays=arrays, state={"step": step})


def _write_another(folder: RunFolder) -> None:
    with folder.locked():
        _write(folder, 300)


@pytest.mark.integration
@needs_fork
def test_a_kill_before_any_step_leaves_a_whole_checkpoint(tmp_path: Path):
    moment, found_steps, alive = 0, list[int](), False
    while not alive:
        moment += 1
        folder = RunFolder(tmp_path / f"{moment}")
        with folder.locked():
            _write(folder, 100, 200)
        alive = not dies_before(moment, partial(_write_another, folder))
        with folder.locked():
            newest = folder.newest(lambda event: pytest.fail(str(event)))
            assert newest is not None
            assert newest.tensors("network")["weight"].tolist() == [float(newest.step)] * 4
            found_steps.append(newest.step)
            assert not list(folder.checkpoints.glob(".*"))
    assert moment > 30
    # Once the new one is there, it stays.
    assert found_steps == sorted(found_steps)
    assert set(found_steps) == {200, 300}
