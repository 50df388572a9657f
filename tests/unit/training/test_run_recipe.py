import pytest
from tiny_diffusion_training import small_recipe as small_diffusion_recipe
from training_recipes import small_recipe

from dcae_export.errors import ConfigError, InputError
from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
from dcae_export.training.run_recipe import (
    CHANGEABLE,
    require_same_recipe,
    resumed_run,
    started_run,
    stored_recipe,
)


@pytest.fixture
def recipe(tmp_path):
    return small_recipe(tmp_path)


def test_a_run_keeps_its_recipe(tmp_path, recipe):
    run = tmp_path / "runs" / "small"
    with started_run(run, recipe):
        assert stored_recipe(run, AutoencoderRecipe) == recipe
    assert [path.name for path in run.parent.iterdir()] == ["small"]
    assert [path.name for path in run.iterdir()] == ["recipe.yaml"]


def test_an_existing_folder_is_never_a_new_run(tmp_path, recipe):
    (tmp_path / "run").mkdir()
    with (
        pytest.raises(InputError, match="go on with it by --resume"),
        started_run(tmp_path / "run", recipe),
    ):
        pytest.fail("the run was started")
    assert not list((tmp_path / "run").iterdir())


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path, recipe):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="cannot be made"),
        started_run(tmp_path / "file" / "run", recipe),
    ):
        pytest.fail("the run was started")


def fail_with(run, recipe, *files):
    """A run that writes these files and stops."""
    with started_run(run, recipe):
        for name in files:
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).touch()
        raise ZeroDivisionError


@pytest.mark.parametrize("hidden", [[], [".checkpoints.lock", "checkpoints/.step-1.partial/a"]])
def test_a_run_that_fails_before_it_has_anything_leaves_no_folder(tmp_path, recipe, hidden):
    with pytest.raises(ZeroDivisionError):
        fail_with(tmp_path / "run", recipe, *hidden)
    assert not (tmp_path / "run").exists()


def test_a_run_that_fails_later_stays(tmp_path, recipe):
    with pytest.raises(ZeroDivisionError):
        fail_with(tmp_path / "run", recipe, "losses.csv")
    assert stored_recipe(tmp_path / "run", AutoencoderRecipe) == recipe


def test_a_folder_without_a_recipe_is_no_run(tmp_path):
    with pytest.raises(InputError, match="no run to resume; drop --resume"):
        stored_recipe(tmp_path, AutoencoderRecipe)


def test_what_may_change_is_kept_when_a_run_goes_on(tmp_path, recipe):
    run = tmp_path / "run"
    with started_run(run, recipe):
        pass
    longer = small_recipe(tmp_path, steps="9", checkpoint_every="2", sample_every="null")
    require_same_recipe(run, stored=recipe, asked=longer)
    with resumed_run(run, longer):
        assert stored_recipe(run, AutoencoderRecipe) == longer


def test_what_may_not_change_is_named_with_both_values(tmp_path, recipe):
    other = small_recipe(tmp_path, **{"optimizer.learning_rate": "0.5", "steps": "9"})
    with pytest.raises(ConfigError) as raised:
        require_same_recipe(tmp_path / "run", stored=recipe, asked=other)
    message = str(raised.value)
    assert "optimizer.learning_rate is 0.0001 in the run, 0.5 in this recipe;" in message
    assert all(key in message for key in CHANGEABLE)
    assert "\n" not in message


def test_several_differences_are_all_named_and_a_missing_section_is_called_so(tmp_path, recipe):
    other = small_recipe(tmp_path, ema="null", seed="1")
    with pytest.raises(ConfigError) as raised:
        require_same_recipe(tmp_path / "run", stored=recipe, asked=other)
    message = str(raised.value)
    assert "seed is 0 in the run, 1 in this recipe; " in message
    assert "ema.decay is 0.9999 in the run, absent in this recipe; " in message
    assert "ema.warm_up is 2000 in the run, absent in this recipe; " in message
    other = small_recipe(tmp_path, ema="null")
    with pytest.raises(ConfigError, match=r"ema.decay is 0.9999 in the run, absent in this"):
        require_same_recipe(tmp_path / "run", stored=recipe, asked=other)


def test_only_keys_of_the_recipe_are_said_to_be_changeable(tmp_path):
    recipe = small_diffusion_recipe(tmp_path)
    other = small_diffusion_recipe(tmp_path, seed="1")
    with pytest.raises(ConfigError, match="only steps, checkpoint_every may change"):
        require_same_recipe(tmp_path / "run", stored=recipe, asked=other)


def test_a_transformers_run_that_fails_before_its_first_step_leaves_no_folder(tmp_path, recipe):
    with pytest.raises(ZeroDivisionError):
        fail_with(tmp_path / "run", recipe, "transformer.json")
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_kind_is_not_resumed(tmp_path):
    run = tmp_path / "run"
    with started_run(run, small_diffusion_recipe(tmp_path)):
        pass
    with pytest.raises(ConfigError, match=r"recipe\.yaml: "):
        stored_recipe(run, AutoencoderRecipe)
