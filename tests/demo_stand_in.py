"""Two finished runs of tiny networks that pass for the demo model's, and the folder that is shipped of them."""

import dataclasses
from pathlib import Path

import pytest
import tiny_autoencoder_training
import tiny_diffusion_training
from autoencoders import small_checkpoint
from export_factory import TINY
from tiny_diffusion_training import small_declaration

from dcae_export.models import shipped
from dcae_export.models.finished_run import RECIPE_NAME, TRANSFORMER_NAME
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.presets import PRESETS
from dcae_export.models.random_weights import random_state
from dcae_export.models.transformer_weights import build_transformer
from dcae_export.models.weights import load_checkpoint
from dcae_export.training.finished_model import write_model, write_transformer
from recipes.demo.ship import ship

# Of one halving, like the tiny autoencoder, on the grids 4x4 and 8x8.
SIDES = (8, 16)
_SCALING_FACTOR = 0.5


def pass_for_demo(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make tiny networks what the demo model has to be, and ``folder`` where it is shipped."""
    config = dataclasses.replace(TINY, scaling_factor=None)
    preset = dataclasses.replace(PRESETS[shipped.AUTOENCODER_NAME], config=config)
    monkeypatch.setitem(PRESETS, shipped.AUTOENCODER_NAME, preset)
    monkeypatch.setattr(shipped, "SIDES", SIDES)
    monkeypatch.setattr(shipped, "FOLDER", folder)


def write_autoencoder_run(run: Path, *, seed: int = 0) -> Path:
    """A finished run of an autoencoder."""
    run.mkdir(parents=True)
    tiny_autoencoder_training.write_recipe(run / RECIPE_NAME, "full")
    state = small_checkpoint(TINY, seed=seed).state
    write_model(run, config=TINY, state=state, scaling_factor=_SCALING_FACTOR)
    return run


def write_transformer_run(run: Path, autoencoder: Path, *, seed: int = 0) -> Path:
    """A finished run of a transformer on the latents of that autoencoder's run."""
    run.mkdir(parents=True)
    tiny_diffusion_training.write_recipe(run / RECIPE_NAME)
    (run / TRANSFORMER_NAME).write_text("{}")
    own = LatentSource.of(load_checkpoint(autoencoder / "model"))
    declaration = small_declaration(autoencoder=own, default_sampler="ddim:3")
    state = random_state(build_transformer(declaration.config()), seed=seed)
    write_transformer(run, declaration=declaration, state=state)
    return run


def ship_stand_in(folder: Path, runs: Path, *, seed: int = 0) -> Path:
    """Write the runs and ship them; ``pass_for_demo`` goes first."""
    autoencoder = write_autoencoder_run(runs / "phase3", seed=seed)
    ship(autoencoder, write_transformer_run(runs / "usit", autoencoder), folder)
    return folder
