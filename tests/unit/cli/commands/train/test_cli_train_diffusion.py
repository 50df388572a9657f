import json
import sys
from types import SimpleNamespace

import pytest
from tiny_diffusion_training import SOURCE, small_declaration, write_recipe
from training_recipes import step_done

from dcae_export.errors import InputError
from dcae_export.models.random_weights import random_state
from dcae_export.models.transformer_weights import build_transformer
from dcae_export.training.diffusion.recipe import DiffusionRecipe
from dcae_export.training.finished_model import write_transformer
from dcae_export.training.report import run_report as report
from dcae_export.training.run_recipe import stored_recipe

DECLARATION = small_declaration()
STATE = random_state(build_transformer(DECLARATION.config()), seed=0)


@pytest.fixture
def calls(monkeypatch):
    """The trainings that were asked for; ``error`` is raised before the first step, ``steps`` are done."""
    monkeypatch.setattr(report, "find_spec", lambda name: None)
    made = SimpleNamespace(trainings=[], error=None, steps=(1, 2, 3, 4))

    def train_diffusion(recipe, *, data, out, resume, on_event):
        made.trainings.append(SimpleNamespace(recipe=recipe, data=data, out=out, resume=resume))
        if made.error is not None:
            raise made.error
        for step in made.steps:
            on_event(step_done(step, steps=recipe.steps, noise=1 / step))
        write_transformer(out, declaration=DECLARATION, state=STATE)

    module = SimpleNamespace(train_diffusion=train_diffusion)
    monkeypatch.setitem(sys.modules, "dcae_export.training.diffusion.training", module)
    monkeypatch.delenv("RANK", raising=False)
    return made


@pytest.fixture
def latents(tmp_path):
    (tmp_path / "latents").mkdir()
    return tmp_path / "latents"


@pytest.fixture
def start(dcae, latents, tmp_path):
    """Train by the small recipe, with more arguments."""
    small = write_recipe(tmp_path / "small.yaml")

    def call(*arguments, recipe=small):
        target = ("--out", tmp_path / "run")
        return dcae("train", "diffusion", recipe, "--data", latents, *target, *arguments)

    return call


def test_a_transformers_run_ends_with_the_next_line_to_type(start, calls, tmp_path):
    result = start()
    run = tmp_path / "run"
    assert result.status == 0
    assert result.out == (
        f"{run}: 4 steps; next: dcae-export --weights {SOURCE.source} --transformer-weights {run}\n"
    )
    assert stored_recipe(run, DiffusionRecipe).steps == 4
    assert "step 4/4: noise 0.25, 2.5 samples/s" in result.err


def test_the_json_of_a_transformers_run_names_its_autoencoder(start, calls, tmp_path):
    run = tmp_path / "run"
    assert json.loads(start("--json").out) == {
        "run": str(run),
        "model": str(run / "model"),
        "autoencoder": SOURCE.model_dump(),
        "step": 4,
        "losses": {"noise": 0.25},
        "samples_per_second": 2.5,
        "skipped": 0,
    }


def test_the_training_of_a_transformer_gets_what_the_command_line_says(
    start, calls, latents, tmp_path
):
    arguments = ("--set", "transformer=uvit-s", "--steps", "7", "--init-from", "runs/other")
    assert start(*arguments).status == 0
    (training,) = calls.trainings
    assert (training.recipe.transformer.width, training.recipe.steps) == (512, 7)
    assert (training.data, training.out) == ((latents,), tmp_path / "run")
    assert training.recipe.init_from == "runs/other"


def test_several_folders_of_latents_keep_their_order(start, calls, latents, tmp_path):
    others = [tmp_path / name for name in ("larger", "largest")]
    for folder in others:
        folder.mkdir()
    assert start(*(part for folder in others for part in ("--data", folder))).status == 0
    assert calls.trainings[0].data == (latents, *others)


def test_every_folder_of_latents_has_to_be_there(start, calls, tmp_path):
    result = start("--data", tmp_path / "missing")
    assert result.status == 3
    assert f"{tmp_path / 'missing'}: no such folder; --data names a folder" in result.err
    assert not calls.trainings


def test_a_shipped_recipe_of_a_transformer_goes_by_its_name(start, calls):
    assert start(recipe="uvit-h-f64").status == 0
    assert calls.trainings[0].recipe.autoencoder == "dc-ae-f64c128-in-1.0"


def test_a_transformers_run_is_resumed_with_its_own_recipe(start, calls, tmp_path):
    assert start().status == 0
    assert start().status == 3
    calls.steps = (5, 6)
    assert start("--resume", "--steps", "6").status == 0
    assert calls.trainings[-1].resume
    result = start("--resume", "--set", "class_dropout=0.5")
    assert result.status == 3
    assert "class_dropout is 0.1 in the run, 0.5 in this recipe" in result.err
    calls.steps = ()
    assert "no step was left" in start("--resume", "--steps", "6").out


def test_a_recipe_of_an_autoencoder_is_sent_to_its_command(start, calls, tmp_path):
    result = start(recipe="f64-phase1")
    assert result.status == 2
    assert "is a recipe of the other kind; dcae train autoencoder takes it" in result.err
    assert not (tmp_path / "run").exists()


def test_a_missing_folder_of_latents_is_an_error(start, calls, latents, tmp_path):
    latents.rmdir()
    result = start()
    assert result.status == 3
    assert "no such folder; --data names a folder of latents" in result.err
    assert not (tmp_path / "run").exists()


def test_a_training_of_a_transformer_that_cannot_begin_leaves_no_run(start, calls, tmp_path):
    calls.error = InputError("no latents")
    assert start().status == 3
    assert not (tmp_path / "run").exists()
