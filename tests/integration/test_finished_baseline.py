import pytest
from autoencoders import TINY_SD_VAE, small_checkpoint
from training_recipes import small_recipe

from dcae_export.models.source import resolve
from dcae_export.training.finished_model import write_model
from dcae_export.training.run_recipe import started_run

# It imports diffusers, which takes seconds.
pytestmark = pytest.mark.integration


def test_a_baselines_run_is_weights_in_the_same_way(tmp_path):
    run = tmp_path / "run"
    trained = small_checkpoint(TINY_SD_VAE)
    with started_run(run, small_recipe(tmp_path, variant="sd-f8")):
        write_model(run, config=TINY_SD_VAE, state=trained.state, scaling_factor=2.0)
    found = resolve(str(run), variant=None)
    assert (found.sha256, found.config.scaling_factor) == (trained.sha256, 2.0)
