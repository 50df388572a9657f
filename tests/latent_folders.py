"""Folders of latents whose values say which they are, made without a network."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from dcae_export.models.latent_source import LatentSource
from dcae_export.pictures.skipped import Skipped
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.contents import (
    LatentContents,
    PictureList,
    ShardRecord,
    shard_name,
)
from dcae_export.training.latents.data import LatentData
from dcae_export.training.latents.shard import write_shard
from dcae_export.training.latents.writer import append, begun, complete

SHAPE = (3, 2, 2)
PER_SHARD = 4
CLASSES = ("ant", "bee")


def empty_contents(
    num_pictures: int, *, classes: tuple[str, ...] | None = CLASSES
) -> LatentContents:
    """What a folder of so many pictures says before its first shard."""
    channels, height, width = SHAPE
    return LatentContents(
        format_version=1,
        autoencoder=LatentSource(
            preset="custom",
            source="here",
            encoder_sha256="0" * 64,
            scaling_factor=0.5,
            random_weights=False,
        ),
        size=64,
        channels=channels,
        height=height,
        width=width,
        sampled=False,
        seed=0,
        classes=classes,
        pictures=PictureList(count=num_pictures, sha256="1" * 64),
        pictures_per_shard=PER_SHARD,
        count=0,
        shards=(),
        complete=False,
    )


def latents_of(numbers: Sequence[int]) -> Tensor:
    """A latent for each number, whose values tell it."""
    grid = torch.arange(12).reshape(SHAPE) / 16
    return torch.tensor(numbers, dtype=torch.float32).reshape(-1, 1, 1, 1) + grid


def labels_of(numbers: Sequence[int]) -> Tensor:
    """The label that the latent of each number has."""
    return torch.tensor([number % len(CLASSES) for number in numbers], dtype=torch.int64)


def numbers_of(latents: Tensor) -> list[int]:
    """Which latents these are; every value of them has to be right."""
    numbers = [int(first) for first in latents[:, 0, 0, 0]]
    assert torch.equal(latents, latents_of(numbers))
    return numbers


def shard_of(
    folder: Path, contents: LatentContents, shard: int, kept: Sequence[int]
) -> ShardRecord:
    """Write one file with the latents of these numbers."""
    labels = None if contents.classes is None else labels_of(kept)
    digest = write_shard(
        folder / shard_name(shard), LatentBatch(latents=latents_of(kept), labels=labels)
    )
    return ShardRecord(file=shard_name(shard), count=len(kept), sha256=digest, skipped=())


def write_folder(
    folder: Path,
    count: int,
    *,
    classes: tuple[str, ...] | None = CLASSES,
    without: Sequence[int] = (),
) -> Path:
    """A complete folder of the latents 0 to ``count`` - 1, but for those that ``without`` names."""
    with begun(folder, empty_contents(count, classes=classes)) as stored:
        contents = stored
        while len(contents.shards) < contents.num_shards:
            shard = len(contents.shards)
            kept = [one for one in contents.numbers_of(shard) if one not in without]
            contents = append(folder, contents, [shard_of(folder, contents, shard, kept)])
        if not contents.complete:
            complete(folder, contents, Skipped())
    return folder


def take(
    data: LatentData, count: int, position: dict[str, int] | None = None
) -> list[tuple[LatentBatch, dict[str, int]]]:
    """The next batches, each with the position after it."""
    return list(islice(data.batches(position or {}), count))


def shown(taken: Sequence[tuple[LatentBatch, dict[str, int]]]) -> list[int]:
    """The numbers of the latents in batches; each has to have its label."""
    numbers: list[int] = []
    for batch, _ in taken:
        of_batch = numbers_of(batch.latents)
        if batch.labels is not None:
            assert torch.equal(batch.labels, labels_of(of_batch))
        numbers += of_batch
    return numbers


def files_of(folder: Path) -> dict[str, bytes]:
    """A folder's files byte for byte, without hidden ones such as locks."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
    }
