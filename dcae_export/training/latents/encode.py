"""Encode a folder of pictures once, for trainings that read its latents in place of it.

What is notable:
- picture n is the n-th of the folder's names, and each shard holds a fixed run of them, so how far a killed process
  came is the number of its shards;
- several processes take one shard each, and the main one lists them in their order once all of them are whole.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from dcae_export.errors import ResourceError, UsageError
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.sd_vae_config import SDVAEConfig
from dcae_export.models.weights import AutoencoderCheckpoint
from dcae_export.pictures.failures_in_a_row import FailuresInARow
from dcae_export.pictures.skipped import Skip, Skipped
from dcae_export.training.data.cropped_pictures import CroppedPictures, cropped_pictures
from dcae_export.training.data.labelled_pictures import LabelledPictures
from dcae_export.training.engine.processes import Processes
from dcae_export.training.engine.settings import Precision
from dcae_export.training.engine.worker_death import told_of_killed_workers
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.contents import (
    FORMAT_VERSION,
    LatentContents,
    PictureList,
    ShardRecord,
    latent_bytes,
    shard_name,
)
from dcae_export.training.latents.encoder import LatentEncoder
from dcae_export.training.latents.shard import write_shard
from dcae_export.training.latents.writer import append, begun, complete, require_same_encoding
from dcae_export.training.recipe_sections import crop_size_problem

# A kill costs at most the work on so many pictures, and a million pictures have a thousand files.
_MAX_PICTURES_PER_SHARD: Final = 1024
# What a process holds of a shard before it is written.
_MAX_SHARD_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodingSettings:
    """How pictures are encoded.

    They are cut to squares of ``size`` pixels a side. ``seed`` draws the samples of a posterior. The encoder sees
    ``batch_size`` pictures at a time, which ``workers`` processes decode, 0 for none but its own.
    """

    size: int
    seed: int
    batch_size: int
    workers: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedLatents:
    """A folder of latents that is complete.

    ``num_new`` pictures were dealt with now, the others before. ``num_skipped`` were left out; ``skipped`` lists
    them, of those that could not be decoded no more than ``MAX_LISTED_SKIPS``.
    """

    contents: LatentContents
    num_new: int
    num_skipped: int
    skipped: Skipped


def encode_latents(
    checkpoint: AutoencoderCheckpoint,
    pictures: LabelledPictures,
    target: Path,
    settings: EncodingSettings,
    *,
    on_progress: Callable[[int, int], None],
) -> EncodedLatents | None:
    """Encode what is not encoded yet, in float32: ADM's crop, the encoder, times the scaling factor.

    Equal arguments go on with a folder that is not complete, and leave one that is as it is. On a CPU a folder
    that was gone on with has the bytes of one that never stopped.

    Args:
        checkpoint: The autoencoder; of an SD-VAE the posterior is sampled.
        pictures: What is encoded.
        target: The folder of latents, which ``LatentFolder`` reads.
        settings: How.
        on_progress: Called on the main process with the numbers of pictures that are done, and of all.

    Returns:
        What is there now; None on processes other than the main one.

    Raises:
        UsageError: The size does not fit the autoencoder.
        ConfigError: The autoencoder has no scaling factor.
        PictureError: A picture is gone since it was found, or none can be decoded any more.
        ParityError: A latent is not finite.
        ResourceError: Too little memory on the device or room on the disk, or a worker was killed.
        DcaeError: As ``writer.begun``.
    """
    wanted = _contents(checkpoint, pictures, settings)
    processes = Processes(Precision.FP32, accumulation=1)
    with begun(target, wanted) if processes.is_main else nullcontext() as stored:
        contents = processes.from_main(stored)
        assert contents is not None
        # Another process may find other pictures than the main one.
        require_same_encoding(target, stored=contents, wanted=wanted)
        before = contents.num_done
        if not contents.complete:
            encoding = _Encoding(checkpoint, pictures, target, settings, processes)
            with told_of_killed_workers():
                contents = encoding.to_the_end(contents, on_progress)
        if not processes.is_main:
            return None
        skipped = _skipped(pictures, contents)
        if not contents.complete:
            contents = complete(target, contents, skipped)
    return EncodedLatents(
        contents=contents,
        num_new=contents.num_done - before,
        num_skipped=len(pictures.skipped) + contents.num_done - contents.count,
        skipped=skipped,
    )


class _Encoding:
    """One process's part of what is left to encode."""

    def __init__(
        self,
        checkpoint: AutoencoderCheckpoint,
        pictures: LabelledPictures,
        target: Path,
        settings: EncodingSettings,
        processes: Processes,
    ) -> None:
        self._encoder = LatentEncoder(checkpoint, processes.device, seed=settings.seed)
        self._pictures = pictures
        self._target = target
        self._settings = settings
        self._processes = processes
        self._failures = FailuresInARow(pictures.folder)

    def to_the_end(
        self, contents: LatentContents, on_progress: Callable[[int, int], None]
    ) -> LatentContents:
        """Encode the missing shards, one for each process at a time; on the main one, the contents that list them."""
        processes = self._processes
        missing = range(len(contents.shards), contents.num_shards)
        crops = self._crops(contents, missing[processes.rank :: processes.count], on_progress)
        for first in missing[:: processes.count]:
            number = first + processes.rank
            shard = self._encode(contents, number, crops) if number in missing else None
            shards = [one for one in processes.gather(shard) if one is not None]
            if processes.is_main:
                contents = append(self._target, contents, shards)
        return contents

    def _crops(
        self,
        contents: LatentContents,
        shards: range,
        on_progress: Callable[[int, int], None],
    ) -> Iterator[CroppedPictures]:
        """The pictures of this process's shards in batches, none of which reaches over the end of its shard."""
        batch_size = self._settings.batch_size
        ranges = [
            numbers[at : at + batch_size]
            for numbers in (contents.numbers_of(shard) for shard in shards)
            for at in range(0, len(numbers), batch_size)
        ]
        done, total = contents.num_done, contents.pictures.count
        for batch in cropped_pictures(
            self._pictures,
            size=self._settings.size,
            ranges=ranges,
            workers=self._settings.workers,
        ):
            if self._processes.is_main:
                on_progress(min(done, total), total)
            yield batch
            # The other processes are as far, give or take.
            done += batch.num_asked * self._processes.count

    def _encode(
        self, contents: LatentContents, number: int, crops: Iterator[CroppedPictures]
    ) -> ShardRecord:
        latents = [torch.empty(0, *contents.shape)]
        kept: list[int] = []
        skips: list[Skip] = []
        left = len(contents.numbers_of(number))
        while left:
            batch = next(crops)
            left -= batch.num_asked
            skips += batch.skipped
            self._failures.add(batch.skipped, num_read=len(batch.numbers))
            if batch.numbers:
                latents.append(self._encode_batch(batch))
                kept += batch.numbers
        labels = None
        if contents.classes is not None:
            labels = torch.tensor([self._pictures.label(one) for one in kept], dtype=torch.int64)
        name = shard_name(number)
        content = LatentBatch(latents=torch.cat(latents), labels=labels)
        digest = write_shard(self._target / name, content)
        return ShardRecord(file=name, count=len(kept), sha256=digest, skipped=tuple(skips))

    def _encode_batch(self, batch: CroppedPictures) -> Tensor:
        try:
            return self._encoder(batch.images, batch.numbers)
        except torch.OutOfMemoryError as error:
            raise ResourceError(
                f"{len(batch.numbers)} pictures of {self._settings.size} px do not fit in the memory of "
                f"{self._processes.device}; choose a smaller --batch-size"
            ) from error


def _contents(
    checkpoint: AutoencoderCheckpoint, pictures: LabelledPictures, settings: EncodingSettings
) -> LatentContents:
    """What the folder says before its first shard."""
    config = checkpoint.config
    problem = crop_size_problem(settings.size, checkpoint.preset, config.downsample)
    if problem is not None:
        raise UsageError(problem)
    side = settings.size // config.downsample
    num_bytes = latent_bytes((config.latent_channels, side, side))
    return LatentContents(
        format_version=FORMAT_VERSION,
        autoencoder=LatentSource.of(checkpoint),
        size=settings.size,
        channels=config.latent_channels,
        height=side,
        width=side,
        sampled=isinstance(config, SDVAEConfig),
        seed=settings.seed,
        classes=pictures.classes,
        pictures=PictureList(count=len(pictures), sha256=pictures.digest()),
        pictures_per_shard=max(1, min(_MAX_PICTURES_PER_SHARD, _MAX_SHARD_BYTES // num_bytes)),
        count=0,
        shards=(),
        complete=False,
    )


def _skipped(pictures: LabelledPictures, contents: LatentContents) -> Skipped:
    """What the scan left out, then what could not be decoded."""
    skipped = Skipped()
    skipped.add(pictures.skipped.listed)
    for shard in contents.shards:
        skipped.add(shard.skipped)
    return skipped
