"""A tiny transformer of each family, a folder of latents that it can learn, and recipes: the real training in seconds."""

import math
from pathlib import Path

import torch
from torch import Tensor

from dcae_export.models.latent_source import LatentSource
from dcae_export.models.transformer_declaration import TransformerDeclaration
from dcae_export.models.transformer_presets import configure, diffusion_of
from dcae_export.training.diffusion.recipe import DiffusionRecipe
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.contents import (
    LatentContents,
    PictureList,
    ShardRecord,
    shard_name,
    write_contents,
)
from dcae_export.training.latents.shard import write_shard
from dcae_export.yaml_file import load

FAMILIES = ("dit", "uvit", "usit")
CLASSES = ("disk", "ring", "stripe")
CHANNELS, SIDE, DOWNSAMPLE = 4, 4, 2
SOURCE = LatentSource(
    preset="custom",
    source="runs/tiny",
    encoder_sha256="a" * 64,
    scaling_factor=0.5,
    random_weights=False,
)

# What cannot be left out.
SMALL = """\
transformer:
  family: {family}
  depth: 2
  width: 32
  heads: 2
batch_size: 8
steps: 4
checkpoint_every: 2
optimizer:
  learning_rate: 2e-3
  weight_decay: 0.01
ema:
  decay: 0.9
  warm_up: 2
"""


def write_recipe(path: Path, family: str = "uvit") -> Path:
    """The small recipe as a file."""
    path.write_text(SMALL.format(family=family))
    return path


def small_recipe(folder: Path, family: str = "uvit", **overrides: str) -> DiffusionRecipe:
    """The small recipe with other values, as YAML."""
    return load(write_recipe(folder / "small.yaml", family), DiffusionRecipe, overrides=overrides)


def toy_latents(count: int, *, seed: int = 0, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Latents (count, 4, side, side) that are one pattern for each class, and a little noise; their labels."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(len(CLASSES), CHANNELS, side, side, generator=generator)
    labels = torch.arange(count) % len(CLASSES)
    noise = torch.randn(count, CHANNELS, side, side, generator=generator)
    return patterns[labels] + 0.1 * noise, labels


def write_latents(
    folder: Path,
    *,
    source: LatentSource = SOURCE,
    classes: tuple[str, ...] | None = CLASSES,
    count: int = 48,
    downsample: int = DOWNSAMPLE,
    seed: int = 0,
    side: int = SIDE,
) -> Path:
    """The toy latents as ``dcae latents`` leaves a folder, in two shards."""
    folder.mkdir()
    latents, labels = toy_latents(count, seed=seed, side=side)
    per_shard = math.ceil(count / 2)
    shards = [
        _write_shard(folder, number, latents[rows], None if classes is None else labels[rows])
        for number, rows in enumerate((slice(0, per_shard), slice(per_shard, count)))
    ]
    write_contents(
        folder,
        LatentContents(
            format_version=1,
            autoencoder=source,
            size=downsample * side,
            channels=latents.shape[1],
            height=side,
            width=side,
            sampled=False,
            seed=0,
            classes=classes,
            pictures=PictureList(count=count, sha256="0" * 64),
            pictures_per_shard=per_shard,
            count=count,
            shards=tuple(shards),
            complete=True,
        ),
    )
    return folder


def small_declaration(family: str = "uvit", **changes: object) -> TransformerDeclaration:
    """What a small run's config.json says."""
    backbone = DiffusionRecipe.model_validate(
        {
            "transformer": {"family": family, "depth": 2, "width": 32, "heads": 2},
            "batch_size": 1,
            "steps": 1,
            "optimizer": {"learning_rate": 1e-4},
        }
    ).transformer.backbone()
    diffusion, sampler = diffusion_of(backbone.family)
    said = {
        "default_sampler": sampler,
        "default_guidance": 2.0,
        "class_names": CLASSES,
        "autoencoder": SOURCE,
    }
    return TransformerDeclaration.of(
        configure(
            backbone, channels=CHANNELS, grid=(SIDE, SIDE), patch=1, num_classes=len(CLASSES)
        ),
        diffusion,
        **(said | changes),
    )


def _write_shard(folder: Path, number: int, latents: Tensor, labels: Tensor | None) -> ShardRecord:
    name = shard_name(number)
    digest = write_shard(folder / name, LatentBatch(latents=latents, labels=labels))
    return ShardRecord(file=name, count=len(latents), sha256=digest, skipped=())
