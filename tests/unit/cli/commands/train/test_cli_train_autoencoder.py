import json
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from autoencoders import shrink, small_checkpoint
from training_recipes import SMALL, sample, step_done, write_recipe

from dcae_export.cli.commands.train import run as training_run
from dcae_export.errors import HubError
from dcae_export.extras import install_command
from dcae_export.models.presets import PRESETS
from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
from dcae_export.training.finished_model import write_model
from dcae_export.training.report import run_report as report
from dcae_export.training.report.loss_log import read_losses
from dcae_export.training.run_recipe import stored_recipe

CONFIG = shrink(PRESETS["dc-ae-f32c32-in-1.0"].config)
STATE = small_checkpoint(CONFIG).state
REFINEMENT = SMALL.replace("phase: full", "phase: local-refinement\ndecoder_head: 1")


@pytest.fixture
def calls(monkeypatch):
    """The trainings that were asked for; ``error`` is raised before the first step, ``steps`` are done.

    Nothing is drawn: that takes seconds.
    """
    monkeypatch.setattr(report, "find_spec", lambda name: None)
    made = SimpleNamespace(trainings=[], error=None, steps=(1, 2, 3))

    def train_autoencoder(recipe, *, data, out, resume, on_event):
        made.trainings.append(SimpleNamespace(recipe=recipe, data=data, out=out, resume=resume))
        if made.error is not None:
            raise made.error
        for step in made.steps:
            on_event(step_done(step, steps=recipe.steps))
        on_event(sample(recipe.steps))
        write_model(out, config=CONFIG, state=STATE, scaling_factor=0.5)

    module = SimpleNamespace(train_autoencoder=train_autoencoder)
    monkeypatch.setitem(sys.modules, "dcae_export.training.autoencoder.training", module)
    monkeypatch.delenv("RANK", raising=False)
    return made


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path)


@pytest.fixture
def start(dcae, recipe, pictures, tmp_path):
    """Train by the small recipe, with more arguments."""

    def call(*arguments, recipe=recipe):
        target = ("--out", tmp_path / "run")
        return dcae("train", "autoencoder", recipe, "--data", pictures, *target, *arguments)

    return call


def test_a_run_has_recipe_losses_samples_and_model_and_the_next_line_to_type(
    start, calls, tmp_path, monkeypatch
):
    monkeypatch.setattr(report, "find_spec", find_spec)
    result = start()
    run = tmp_path / "run"
    assert result.status == 0
    assert result.out == (
        f"{run}: 3 steps, scaling factor 0.5; next: dcae-export --weights {run}\n"
    )
    assert stored_recipe(run, AutoencoderRecipe).steps == 3
    assert read_losses(run / "losses.csv")["l1"][-1] == (3, pytest.approx(1 / 3, abs=1e-5))
    assert {"losses.png", "samples.png", "tensorboard", "model", "recipe.yaml"} <= {
        path.name for path in run.iterdir()
    }
    assert "step 3/3: l1 0.3333, 2.5 samples/s" in result.err


def test_the_json_says_where_the_model_is_and_what_the_last_step_was(start, calls, tmp_path):
    result = start("--json")
    run = tmp_path / "run"
    assert json.loads(result.out) == {
        "run": str(run),
        "model": str(run / "model"),
        "scaling_factor": 0.5,
        "step": 3,
        "losses": {"l1": pytest.approx(1 / 3)},
        "samples_per_second": 2.5,
        "skipped": 0,
    }


def test_the_training_gets_what_the_command_line_says(start, calls, pictures, tmp_path):
    assert start("--set", "optimizer.betas=[0.5, 0.9]", "--steps", "5", "--set", "ema=").status == 0
    (training,) = calls.trainings
    assert training.recipe.optimizer.betas == (0.5, 0.9)
    assert (training.recipe.steps, training.recipe.ema) == (5, None)
    assert (training.data, training.out) == (pictures, tmp_path / "run")
    assert (training.recipe.init_from, training.resume) == (None, False)


def test_a_shipped_recipe_goes_by_its_name(start, calls):
    assert start(recipe="fine-tune").status == 0
    (training,) = calls.trainings
    assert training.recipe.init_from == "mit-han-lab/dc-ae-f32c32-in-1.0"


def test_the_command_lines_weights_win_and_are_kept(start, calls, tmp_path):
    assert start("--init-from", "random:0", recipe="fine-tune").status == 0
    assert calls.trainings[0].recipe.init_from == "random:0"
    assert stored_recipe(tmp_path / "run", AutoencoderRecipe).init_from == "random:0"


def test_a_later_phase_needs_weights(start, calls, recipe):
    recipe.write_text(REFINEMENT)
    result = start()
    assert result.status == 2
    assert "--init-from" in result.err
    assert start("--init-from", "random:0").status == 0


def test_an_existing_run_is_gone_on_with_by_resume_only(start, calls, tmp_path):
    assert start().status == 0
    result = start()
    assert result.status == 3
    assert "--resume" in result.err
    assert len(calls.trainings) == 1
    calls.steps = (3, 4)
    assert start("--resume", "--steps", "4").status == 0
    assert calls.trainings[-1].resume
    assert stored_recipe(tmp_path / "run", AutoencoderRecipe).steps == 4
    steps = [step for step, _ in read_losses(tmp_path / "run" / "losses.csv")["l1"]]
    assert steps == [1, 2, 3, 4]


def test_a_run_goes_on_from_the_weights_that_it_started_from(start, calls):
    start("--init-from", "random:0")
    assert start("--resume").status == 0
    assert calls.trainings[-1].recipe.init_from == "random:0"
    result = start("--resume", "--init-from", "random:1")
    assert result.status == 3
    assert 'init_from is "random:0" in the run, "random:1" in this recipe' in result.err


def test_another_recipe_does_not_resume_a_run(start, calls):
    start()
    result = start("--resume", "--set", "seed=7")
    assert result.status == 3
    assert "seed is 0 in the run, 7 in this recipe" in result.err
    assert len(calls.trainings) == 1


def test_there_has_to_be_a_run_to_resume(start, calls, tmp_path):
    result = start("--resume")
    assert result.status == 3
    assert "drop --resume" in result.err
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_done_already_says_so(start, calls, tmp_path):
    start()
    calls.steps = ()
    result = start("--resume")
    assert result.status == 0
    assert "no step was left" in result.out
    assert json.loads(start("--resume", "--json").out)["step"] is None


def test_a_training_that_cannot_begin_leaves_no_run(start, calls, tmp_path):
    calls.error = HubError("the hub cannot be reached")
    assert start().status == 3
    assert not (tmp_path / "run").exists()


def test_a_fault_of_the_recipe_names_file_and_key_before_anything_is_made(start, recipe, tmp_path):
    recipe.write_text(SMALL + "epochs: 3\n")
    result = start()
    assert result.status == 3
    assert f"{recipe}: epochs: unknown key; the keys are init_from, " in result.err
    assert not (tmp_path / "run").exists()


def test_a_recipe_of_a_transformer_is_sent_to_its_command(start, calls, tmp_path):
    result = start(recipe="uvit-h-f64")
    assert result.status == 2
    assert "is a recipe of the other kind; dcae train diffusion takes it" in result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("--set", "seed=1", "--set", "size=64", "--set", "seed=1"), "seed"),
        (("--steps", "3", "--set", "steps=3"), "steps"),
    ],
)
def test_a_key_that_is_set_twice_is_a_usage_error(start, calls, words, key):
    result = start(*words)
    assert result.status == 2
    assert f"--set {key}: is given more than once" in result.err


@pytest.mark.parametrize("setting", ["size", "=3", "a..b=1", "A=1", "size:64"])
def test_a_malformed_setting_is_a_usage_error(start, calls, setting):
    result = start("--set", setting)
    assert result.status == 2
    assert f"--set {setting}: is no KEY=VALUE" in result.err


def test_pictures_have_to_be_named(dcae, calls, recipe, tmp_path):
    result = dcae("train", "autoencoder", recipe, "--out", tmp_path / "run")
    assert result.status == 2
    assert "--data" in result.err
    assert not (tmp_path / "run").exists()


def test_shards_stand_in_the_recipe(dcae, start, calls, recipe, tmp_path):
    recipe.write_text(SMALL + "data:\n  sources: [{name: a, shards: a, weight: 1}]\n")
    result = start()
    assert result.status == 2
    assert "data.sources; drop --data" in result.err
    assert dcae("train", "autoencoder", recipe, "--out", tmp_path / "run").status == 0
    assert calls.trainings[0].data is None


def test_a_missing_folder_of_pictures_is_an_error(start, calls, pictures, tmp_path):
    pictures.rmdir()
    result = start()
    assert result.status == 3
    assert "no such folder" in result.err
    assert not (tmp_path / "run").exists()


def test_a_run_inside_its_pictures_is_refused(dcae, calls, recipe, pictures):
    arguments = ("--data", pictures, "--out", pictures / "runs" / "mine")
    result = dcae("train", "autoencoder", recipe, *arguments)
    assert result.status == 2
    assert "samples would be trained on" in result.err


def test_of_several_processes_the_first_keeps_the_folder_and_tells(
    start, calls, tmp_path, monkeypatch
):
    monkeypatch.setenv("RANK", "1")
    (tmp_path / "run").mkdir()
    result = start()
    assert (result.status, result.out, result.err) == (0, "", "")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model"]


def test_without_its_packages_the_line_to_install_them_is_shown(start, monkeypatch, tmp_path):
    monkeypatch.setattr(training_run, "find_spec", lambda name: None)
    result = start()
    assert result.status == 2
    assert result.err == (f"dcae: error: accelerate is not installed; {install_command('train')}\n")
    assert not (tmp_path / "run").exists()
