"""A small training as YAML, and events as a run tells them."""

from pathlib import Path

import torch

from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
from dcae_export.training.engine.events import Sample, StepDone
from dcae_export.yaml_file import load

# What cannot be left out.
SMALL = """\
variant: f32
phase: full
size: 32
batch_size: 1
steps: 3
optimizer:
  learning_rate: 1e-4
losses:
  l1: 1.0
"""


def write_recipe(folder: Path, text: str = SMALL) -> Path:
    """A recipe as a file of its own."""
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def small_recipe(folder: Path, **overrides: str) -> AutoencoderRecipe:
    """The small recipe with other values, as YAML."""
    return load(write_recipe(folder), AutoencoderRecipe, overrides=overrides)


def step_done(step: int, *, steps: int = 3, **losses: float) -> StepDone:
    """A step of the optimizer."""
    return StepDone(
        step=step,
        steps=steps,
        losses=losses or {"l1": 1 / step},
        gradient_norms={"network": 0.5},
        learning_rate=1e-4,
        samples_per_second=2.5,
        seconds_left=90.4,
        skipped=0,
    )


def sample(step: int, *, count: int = 1, side: int = 32) -> Sample:
    """Pictures and what is nearly them."""
    images = torch.linspace(-1, 1, count * 3 * side * side).reshape(count, 3, side, side)
    return Sample(step=step, images=images, reconstructions=images * 0.9)
