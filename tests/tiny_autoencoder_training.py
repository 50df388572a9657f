"""A tiny autoencoder, a few pictures and a recipe for each phase: the real training in seconds."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
from autoencoders import shrink, small_checkpoint

from dcae_export.models.key_map import Layout
from dcae_export.models.network import build
from dcae_export.models.presets import PRESETS
from dcae_export.models.weights import AutoencoderCheckpoint, save_checkpoint
from dcae_export.training.initialization import initialize

SIDE_PIXELS = 64
NUM_PICTURES = 5
_ENDS = {
    "full": "",
    "latent-adaptation": "encoder_head: 2\ndecoder_input: 2\n",
    "local-refinement": "decoder_head: 1\n",
}
_RECIPE = """\
phase: {phase}
{ends}size: 64
batch_size: 2
steps: {steps}
workers: 0
optimizer:
  learning_rate: 1e-3
  weight_decay: 0.01
  clip_norm: 1.0
ema:
  decay: 0.9
  warm_up: 2
losses:
  l1: 1.0
  perceptual:
    weight: 0.25
    kind: structure
{adversarial}checkpoint_every: 2
sample_every: 2
evaluation_images: 4
"""
_ADVERSARIAL = """\
  adversarial:
    weight: 0.1
    start_step: 2
    learning_rate: 1e-4
"""


def tiny_start() -> AutoencoderCheckpoint:
    """f32 at a sixteenth of its widths and one block a stage, as a training from scratch begins."""
    config = shrink(PRESETS["dc-ae-f32c32-in-1.0"].config, depth=1)
    network = build(config)
    initialize(network, seed=0)
    return dataclasses.replace(small_checkpoint(config), state=network.state_dict())


def write_start(folder: Path) -> Path:
    """The same as a folder that ``--init-from`` takes."""
    save_checkpoint(tiny_start(), folder, layout=Layout.DIFFUSERS)
    return folder


def write_recipe(path: Path, phase: str, *, steps: int = 4) -> Path:
    """The recipe of a phase."""
    adversarial = _ADVERSARIAL if phase == "local-refinement" else ""
    path.write_text(
        _RECIPE.format(phase=phase, ends=_ENDS[phase], steps=steps, adversarial=adversarial)
    )
    return path


def write_photographs(folder: Path) -> Path:
    """Smooth pictures of several sizes, and one file that is none."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(NUM_PICTURES):
        coarse = generator.integers(0, 256, (6, 6, 3), np.uint8)
        picture = cv2.resize(coarse, (80 + 8 * number, 72), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder
