"""A folder of latents of the toy distribution, as ``dcae latents`` leaves one, and the autoencoder that it names."""

import functools
from pathlib import Path

import numpy as np
import torch

from benchmarks.toy_distribution import CLASSES, SHAPE, labels_in_turn, toy_distribution
from dcae_export.models.autoencoder import (
    Activation,
    AutoencoderConfig,
    DecoderConfig,
    Downsampling,
    EncoderConfig,
    ResStage,
    Upsampling,
)
from dcae_export.models.identity import CUSTOM
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.network import build
from dcae_export.models.random_weights import random_state
from dcae_export.models.state import state_digest
from dcae_export.models.weights import AutoencoderCheckpoint
from dcae_export.pictures.skipped import Skipped
from dcae_export.random_name import random_name
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.contents import (
    LatentContents,
    PictureList,
    ShardRecord,
    shard_name,
)
from dcae_export.training.latents.shard import write_shard
from dcae_export.training.latents.writer import append, begun, complete

_SEED = 0


def draw_latents(folder: str, count: int) -> dict[str, object]:
    """Write ``count`` latents, of each class as many, into a new folder."""
    labels = labels_in_turn(count)
    latents = toy_distribution().draw(labels, np.random.default_rng(_SEED))
    batch = LatentBatch(latents=torch.from_numpy(latents), labels=torch.from_numpy(labels))
    target = Path(folder)
    with begun(target, _contents(count)) as contents:
        digest = write_shard(target / shard_name(0), batch)
        shard = ShardRecord(file=shard_name(0), count=count, sha256=digest, skipped=())
        complete(target, append(target, contents, [shard]), Skipped())
    return {}


@functools.cache
def toy_autoencoder() -> AutoencoderCheckpoint:
    """A DC-AE of one halving with random weights: a bundle holds one, and nobody looks at what this one decodes."""
    channels, *_ = SHAPE
    stages = (ResStage(width=8, depth=1), ResStage(width=16, depth=1))
    config = AutoencoderConfig(
        encoder=EncoderConfig(
            stages=stages,
            downsampling=Downsampling.CONV_PIXEL_UNSHUFFLE,
            latent_shortcut=True,
        ),
        decoder=DecoderConfig(
            stages=stages,
            upsampling=Upsampling.CONV_PIXEL_SHUFFLE,
            latent_shortcut=True,
            out_activation=Activation.RELU,
        ),
        latent_channels=channels,
        scaling_factor=1.0,
    )
    with torch.device("meta"):
        network = build(config)
    state = random_state(network, seed=_SEED)
    return AutoencoderCheckpoint(
        config=config,
        preset=CUSTOM,
        state=state,
        source=random_name(_SEED),
        sha256=state_digest(state),
        licence=None,
    )


def _contents(count: int) -> LatentContents:
    """What the folder says before its one shard; of pictures that never were, their number."""
    autoencoder = toy_autoencoder()
    channels, height, width = SHAPE
    return LatentContents(
        format_version=1,
        autoencoder=LatentSource.of(autoencoder),
        size=autoencoder.config.downsample * height,
        channels=channels,
        height=height,
        width=width,
        sampled=False,
        seed=0,
        classes=CLASSES,
        pictures=PictureList(count=count, sha256="0" * 64),
        pictures_per_shard=count,
        count=0,
        shards=(),
        complete=False,
    )
