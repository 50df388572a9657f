import dataclasses
import json
import math

import pytest
import torch
from autoencoders import shrink, small_checkpoint
from tiny_diffusion_training import CLASSES, SOURCE, small_declaration
from training_recipes import small_recipe

from dcae_export.errors import TrainingError, UsageError, WeightsError
from dcae_export.models.presets import PRESETS
from dcae_export.models.random_weights import random_state
from dcae_export.models.source import resolve, resolve_transformer
from dcae_export.models.transformer_weights import build_transformer
from dcae_export.training.finished_model import write_model, write_transformer
from dcae_export.training.run_recipe import started_run

F32 = "dc-ae-f32c32-in-1.0"
SMALL = shrink(PRESETS[F32].config)


@pytest.fixture(autouse=True)
def small_f32(monkeypatch):
    """The variant of the runs here, at a sixteenth of its widths."""
    monkeypatch.setitem(PRESETS, F32, dataclasses.replace(PRESETS[F32], config=SMALL))


@pytest.fixture
def run(tmp_path):
    """A run that has just begun."""
    with started_run(tmp_path / "run", small_recipe(tmp_path)):
        pass
    return tmp_path / "run"


@pytest.mark.parametrize("variant", [None, F32, "f32"])
def test_a_finished_run_is_weights_with_a_scaling_factor_of_their_own(run, variant):
    trained = small_checkpoint(SMALL, seed=3)
    model = write_model(run, config=SMALL, state=trained.state, scaling_factor=0.25)
    assert {path.name for path in model.iterdir()} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
    }
    assert json.loads((model / "config.json").read_text())["scaling_factor"] == 0.25
    found = resolve(str(run), variant=variant)
    assert (found.sha256, found.source, found.preset) == (trained.sha256, str(run), "custom")
    assert found.config == dataclasses.replace(SMALL, scaling_factor=0.25)


def test_a_run_of_another_network_is_not_the_variant(run):
    state = small_checkpoint(SMALL).state
    write_model(run, config=SMALL, state=state, scaling_factor=0.25)
    with pytest.raises(WeightsError, match="another network than f64; name a run of f64, or the"):
        resolve(str(run), variant="f64")
    with pytest.raises(UsageError, match="unknown variant"):
        resolve(str(run), variant="f46")


def test_a_run_that_is_not_finished_says_how_to_go_on(run):
    with pytest.raises(WeightsError) as raised:
        resolve(str(run), variant=None)
    assert str(raised.value).startswith(f"{run}: a training run that is not finished")
    assert str(raised.value).endswith(f"--out {run} --resume goes on with it")
    assert "\n" not in str(raised.value)


def test_a_longer_run_replaces_its_model(run):
    for seed in (1, 2):
        state = small_checkpoint(SMALL, seed=seed).state
        write_model(run, config=SMALL, state=state, scaling_factor=1.0)
    assert resolve(str(run), variant=None).sha256 == small_checkpoint(SMALL, seed=2).sha256


@pytest.mark.parametrize("scaling_factor", [0.0, -1.0, math.inf, math.nan])
def test_a_scaling_factor_that_cannot_be_is_refused(run, scaling_factor):
    state = small_checkpoint(SMALL).state
    with pytest.raises(TrainingError, match="scaling factor"):
        write_model(run, config=SMALL, state=state, scaling_factor=scaling_factor)
    assert not (run / "model").exists()


def test_weights_that_are_not_finite_leave_the_model_before(run):
    sound = small_checkpoint(SMALL)
    write_model(run, config=SMALL, state=sound.state, scaling_factor=1.0)
    name = next(iter(sound.state))
    damaged = sound.state | {name: torch.full_like(sound.state[name], math.nan)}
    with pytest.raises(TrainingError, match=f"{name} is not finite"):
        write_model(run, config=SMALL, state=damaged, scaling_factor=1.0)
    assert resolve(str(run), variant=None).sha256 == sound.sha256


def test_a_checkpoint_beside_a_recipe_is_a_checkpoint(run):
    trained = small_checkpoint(SMALL)
    write_model(run, config=SMALL, state=trained.state, scaling_factor=1.0)
    model = run / "model"
    (model / "recipe.yaml").write_text("variant: f32")
    assert resolve(str(model), variant=None).sha256 == trained.sha256


@pytest.fixture
def transformer_run(run):
    """A run that trains a transformer, and its weights."""
    declaration = small_declaration()
    (run / "transformer.json").write_text(json.dumps(declaration.content()))
    return run, declaration, random_state(build_transformer(declaration.config()), seed=3)


def test_a_finished_transformer_says_what_it_is(transformer_run):
    run, declaration, state = transformer_run
    model = write_transformer(run, declaration=declaration, state=state)
    assert {path.name for path in model.iterdir()} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
    }
    found = resolve_transformer(str(run), name=None, autoencoder=None)
    assert (found.preset, found.source, found.name) == ("custom", str(run), str(run))
    assert (found.config, found.diffusion) == (declaration.config(), declaration.diffusion())
    assert (found.default_sampler, found.default_guidance) == ("dpmpp-singlestep:30", 2.0)
    assert found.class_names == CLASSES
    assert found.trained_on is not None
    assert found.trained_on == SOURCE
    assert not found.has_random_weights
    assert all(torch.equal(found.state[name], state[name]) for name in state)


def test_a_transformers_weights_that_are_not_finite_leave_no_model(transformer_run):
    run, declaration, state = transformer_run
    state["norm.weight"][3] = math.nan
    with pytest.raises(TrainingError, match=r"norm\.weight is not finite"):
        write_transformer(run, declaration=declaration, state=state)
    assert not (run / "model").exists()


def test_a_transformers_run_that_is_not_finished_says_how_to_go_on(transformer_run):
    run, _, _ = transformer_run
    with pytest.raises(WeightsError, match=f"dcae train diffusion {run / 'recipe.yaml'} --data"):
        resolve_transformer(str(run), name=None, autoencoder=None)


def test_a_run_of_the_other_kind_is_named_with_the_option_that_takes_it(transformer_run):
    run, declaration, state = transformer_run
    write_transformer(run, declaration=declaration, state=state)
    with pytest.raises(
        WeightsError, match=r"a transformer, .* by --transformer-weights; --weights"
    ):
        resolve(str(run), variant=None)
    (run / "transformer.json").unlink()
    with pytest.raises(WeightsError, match=r"an autoencoder, .* needed here is a transformer's"):
        resolve_transformer(str(run), name=None, autoencoder=None)
