"""A folder of latents, read by number from mapped files: it may be larger than the memory."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from dcae_export.errors import InputError
from dcae_export.models.latent_source import LatentSource
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.contents import (
    CONTENTS_NAME,
    LatentContents,
    read_contents,
)
from dcae_export.training.latents.shard import map_shard, verify_shard


class LatentFolder:
    """What ``dcae latents`` has made, to be read in any order."""

    def __init__(self, contents: LatentContents, shards: Sequence[LatentBatch]) -> None:
        self._contents = contents
        self._shards = shards
        self._ends = list(accumulate(shard.count for shard in contents.shards))

    @classmethod
    def open(cls, path: Path, *, verify_hashes: bool = False) -> Self:
        """Check and map a folder; ``verify_hashes`` reads every byte of it.

        Raises:
            InputError: It is none, not complete, damaged or of a newer format.
            RefusedError: A file has another hash, or is a link or no regular file.
        """
        if not (path / CONTENTS_NAME).exists():
            raise InputError(f"{path}: holds no {CONTENTS_NAME}; dcae latents makes one")
        contents = read_contents(path)
        if not contents.complete:
            raise InputError(
                f"{path}: {contents.num_done} of its {contents.pictures.count} pictures are encoded; "
                "the dcae latents that began it goes on with it"
            )
        numbers = range(len(contents.shards))
        shards = [map_shard(path, contents, number) for number in numbers]
        if verify_hashes:
            for number in numbers:
                verify_shard(path, contents, number)
        return cls(contents, shards)

    @property
    def count(self) -> int:
        """How many latents there are."""
        return self._contents.count

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, h, w) of each."""
        return self._contents.shape

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes that labels are places in; None without labels."""
        return self._contents.classes

    @property
    def autoencoder(self) -> LatentSource:
        """What made the latents."""
        return self._contents.autoencoder

    @property
    def size(self) -> int:
        """The side in pixels of the squares that were encoded."""
        return self._contents.size

    def read(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Latents by number, from 0 to ``count`` - 1, copied into memory of their own.

        Returns:
            (B, C, h, w) float32, times the scaling factor already; labels (B,) int64, None without classes.
        """
        latents = torch.empty(len(numbers), *self.shape)
        labels = None if self.classes is None else torch.empty(len(numbers), dtype=torch.int64)
        for at, number in enumerate(numbers):
            shard, row = self._place(number)
            latents[at] = shard.latents[row]
            if labels is not None and shard.labels is not None:
                labels[at] = shard.labels[row]
        return latents, labels

    def _place(self, number: int) -> tuple[LatentBatch, int]:
        assert 0 <= number < self.count
        at = bisect_right(self._ends, number)
        return self._shards[at], number - (self._ends[at - 1] if at else 0)
