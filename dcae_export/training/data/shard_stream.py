"""One source of shards as one reader sees it: an endless, shuffled stream of pictures."""

import http.client
import itertools
import math
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dcae_export.errors import ConfigError, PictureError
from dcae_export.pictures.skipped import Skip, SkipReason
from dcae_export.training.data.positions import EpochOrder
from dcae_export.training.data.shard_files import Shard, open_shard
from dcae_export.training.data.tar_pictures import EncodedPicture, tar_pictures

# Beside the number of pictures: a hundred 60-megapixel PNGs would be ten gigabytes.
_MAX_WAITING_BYTES: Final = 256 * 2**20
# Where one shard in ten gives pictures, so many others in a row come up once in a thousand million times.
_MAX_FRUITLESS: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSource:
    """A named set of shards and its weight: the share of pictures that it gives, relative to the others.

    Raises:
        ConfigError: No shards, or a weight that is not positive.
    """

    name: str
    shards: tuple[Shard, ...]
    weight: float

    def __post_init__(self) -> None:
        if not self.shards:
            raise ConfigError(f"source {self.name}: has no shards")
        if not (self.weight > 0 and math.isfinite(self.weight)):
            raise ConfigError(f"source {self.name}: a weight is positive, not {self.weight}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """One of the ``count`` processes that share all shards between them."""

    index: int
    count: int


class ShardOrder:
    """The shards of a source, one permutation after another, for ever: place p is of epoch p // len."""

    def __init__(self, source: ShardSource, *, seed: int) -> None:
        self.name = source.name
        self._shards = source.shards
        # By name and not by number: a source that joins the recipe leaves the others' orders alone.
        key = (seed, zlib.crc32(source.name.encode()))
        self._order = EpochOrder(len(source.shards), key=key)

    def __len__(self) -> int:
        return len(self._shards)

    def at(self, place: int) -> Shard:
        """The shard at a place from 0 on."""
        return self._shards[self._order.at(place)]


class ShardStream:
    """The pictures of every ``reader.count``-th place of a source's order, shuffled in a buffer.

    A round is one shard of each reader. ``rounds`` counts those of which all pictures were drawn: what is left
    in the buffer belongs to later ones, so a run that is resumed there shows no picture less.
    """

    def __init__(
        self,
        order: ShardOrder,
        *,
        reader: Reader,
        start: int,
        capacity: int,
        min_side: int,
        report: Callable[[Skip], None],
    ) -> None:
        assert capacity >= 1
        self.name = order.name
        self._order = order
        self._reader = reader
        self._start = start
        self._capacity = capacity
        self._min_side = min_side
        self._report = report
        self._being_read = 0
        self._waiting: list[tuple[int, EncodedPicture]] = []
        self._waiting_bytes = 0
        self._pictures = self._read()

    @property
    def rounds(self) -> int:
        """The shards of this reader, from its first on, that no picture is left of."""
        return min([self._being_read, *(number for number, _ in self._waiting)])

    def draw(self, generator: np.random.Generator) -> EncodedPicture:
        """Take a picture out of the buffer, which is filled up before.

        Raises:
            PictureError: No shard of the source gave a picture, or none of very many in a row.
        """
        while len(self._waiting) < self._capacity and self._waiting_bytes < _MAX_WAITING_BYTES:
            arrived = next(self._pictures)
            self._waiting.append(arrived)
            self._waiting_bytes += len(arrived[1].data)
        at = int(generator.integers(len(self._waiting)))
        self._waiting[at], self._waiting[-1] = self._waiting[-1], self._waiting[at]
        _, picture = self._waiting.pop()
        self._waiting_bytes -= len(picture.data)
        return picture

    def _read(self) -> Iterator[tuple[int, EncodedPicture]]:
        barren: set[Shard] = set()
        fruitless = 0
        for number in itertools.count():
            self._being_read = number
            shard = self._order.at(self._start + self._reader.index + number * self._reader.count)
            fruitless += 1
            barren.add(shard)
            for picture in self._pictures_of(shard):
                fruitless = 0
                barren.discard(shard)
                yield number, picture
            if len(barren) == len(self._order) or fruitless == _MAX_FRUITLESS:
                raise PictureError(
                    f"source {self.name}: {fruitless} shards in a row gave no picture that can be "
                    f"trained on; the last is {shard}; the list of what was skipped says why"
                )

    def _pictures_of(self, shard: Shard) -> Iterator[EncodedPicture]:
        try:
            with open_shard(shard) as stream:
                yield from tar_pictures(
                    stream, str(shard), min_side=self._min_side, report=self._report
                )
        except (tarfile.TarError, OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or error
            self._report(Skip.of(str(shard), SkipReason.UNREADABLE, reason))
