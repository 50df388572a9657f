"""Weighted sources of shards as one endless stream of crops, as one reader sees it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import ConfigError, PictureError
from dcae_export.pictures.crops import Crop, cut
from dcae_export.pictures.picture_file import decode_picture
from dcae_export.pictures.skipped import MAX_FAILURES_IN_A_ROW, Skip, SkipReason
from dcae_export.training.data.shard_stream import Reader, ShardOrder, ShardSource, ShardStream

# Pictures of each source that wait in each reader; WebDataset's own programs take about as many.
SHUFFLE_BUFFER: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureSettings:
    """What is mixed, and how.

    Each crop's source is drawn by the weights, its picture out of ``shuffle_buffer`` of that source.

    Raises:
        ConfigError: No sources, two of one name, or a buffer without room.
    """

    sources: tuple[ShardSource, ...]
    crop: Crop
    seed: int
    shuffle_buffer: int = SHUFFLE_BUFFER

    def __post_init__(self) -> None:
        names = [source.name for source in self.sources]
        if not names:
            raise ConfigError("a mixture has at least one source")
        if len(set(names)) != len(names):
            raise ConfigError(f"a mixture names each source once, not {', '.join(names)}")
        if self.shuffle_buffer < 1:
            raise ConfigError("the shuffle buffer holds at least 1 picture")


class Mixture:
    """Crops from weighted sources: a function of the settings, the reader and where it starts."""

    def __init__(
        self, settings: MixtureSettings, *, reader: Reader, starts: dict[str, int]
    ) -> None:
        self._crop = settings.crop
        self._skips: list[Skip] = []
        self._generator = np.random.default_rng([settings.seed, reader.index, *starts.values()])
        self._streams = [
            ShardStream(
                ShardOrder(source, seed=settings.seed),
                reader=reader,
                start=starts[source.name],
                capacity=settings.shuffle_buffer,
                min_side=settings.crop.min_side,
                report=self._skips.append,
            )
            for source in settings.sources
        ]
        weights = np.array([source.weight for source in settings.sources])
        self._shares = weights / weights.sum()

    @property
    def rounds(self) -> dict[str, int]:
        """By source: the shards of this reader that no picture is left of."""
        return {stream.name: stream.rounds for stream in self._streams}

    def draw(self) -> NDArray[np.uint8]:
        """The next crop, (size, size, 3) RGB.

        Raises:
            PictureError: A source has nothing that can be trained on.
        """
        stream = self._streams[int(self._generator.choice(len(self._streams), p=self._shares))]
        problem = ""
        for _ in range(MAX_FAILURES_IN_A_ROW):
            picture = stream.draw(self._generator)
            try:
                image = decode_picture(picture.data, name=picture.name)
            except PictureError as error:
                problem = str(error)
                detail = problem.removeprefix(f"{picture.name}: ")
                self._skips.append(Skip.of(picture.name, SkipReason.UNREADABLE, detail))
                continue
            return cut(image, self._crop, self._generator)
        raise PictureError(
            f"source {stream.name}: {MAX_FAILURES_IN_A_ROW} pictures in a row cannot be decoded; "
            f"the last is {problem}"
        )

    def take_skipped(self) -> tuple[Skip, ...]:
        """What was skipped since this was last asked."""
        taken = tuple(self._skips)
        self._skips.clear()
        return taken
