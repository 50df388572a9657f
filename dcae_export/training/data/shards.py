"""Shards of WebDataset as training data, mixed by weight and resumed at the boundary of a shard."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from dcae_export.errors import PictureError
from dcae_export.pictures.crops import EvaluationCrop
from dcae_export.pictures.skipped import Skipped
from dcae_export.training.data.loading import (
    Failed,
    Loaded,
    Loading,
    load,
    require_position,
    to_batch,
)
from dcae_export.training.data.mixture import Mixture, MixtureSettings
from dcae_export.training.data.shard_stream import Reader


class ShardData:
    """Micro-batches of a mixture of shards for one training process.

    All worker processes of all training processes share the shards of a source in turn. The position holds,
    for each source, at which shard of its endless order all of them start: shards before it were shown whole,
    later ones may have been shown in part. A resumed run shows those again from their beginning, so it goes on
    at the boundary of a shard and not bit for bit; from one position on, a run with as many readers is the
    same each time.

    Processes go through shards of unlike size at unlike speed, and the first one's position is stored for all.
    """

    def __init__(self, settings: MixtureSettings, *, loading: Loading) -> None:
        self._settings = settings
        self._loading = loading
        self.skipped = Skipped()

    def for_evaluation(self) -> "ShardData":
        """The same sources, cut as for evaluation."""
        crop = self._settings.crop
        settings = replace(
            self._settings, crop=EvaluationCrop(size=crop.size, enlarge=crop.enlarge)
        )
        return ShardData(settings, loading=self._loading)

    def batches(self, position: dict[str, int]) -> Iterator[tuple[Tensor, dict[str, int]]]:
        """Micro-batches from a position on, for ever, each with the position after it.

        Args:
            position: What came with the last micro-batch that was used; {} is the beginning. A source that
                it does not name begins with its first shard.

        Yields:
            (batch, 3, size, size) float32 in [-1, 1], and the position to store.

        Raises:
            ConfigError: The position names a source that the mixture does not have.
            PictureError: A source has nothing that can be trained on.
            ResourceError: A worker process was killed.
        """
        names = sorted(source.name for source in self._settings.sources)
        require_position(position, names)
        starts = {name: position.get(name, 0) for name in names}
        num_workers = max(1, self._loading.workers)
        num_readers = num_workers * self._loading.world_size
        rounds = {worker: dict.fromkeys(names, 0) for worker in range(num_workers)}
        dataset = _ShardBatches(self._settings, self._loading, starts)
        for loaded in load(dataset, sampler=None, workers=self._loading.workers):
            self.skipped.add(loaded.skipped)
            rounds[loaded.worker] = loaded.rounds
            after = {
                name: start + num_readers * min(done[name] for done in rounds.values())
                for name, start in starts.items()
            }
            yield loaded.images, after


@dataclass(frozen=True, kw_only=True, slots=True)
class _FromShards(Loaded):
    """A micro-batch of one worker, and how many of its shards of each source no picture is left of."""

    worker: int
    rounds: dict[str, int]


class _ShardBatches(IterableDataset[_FromShards | Failed]):
    """The micro-batches of the worker in which this is iterated."""

    def __init__(self, settings: MixtureSettings, loading: Loading, starts: dict[str, int]) -> None:
        self._settings = settings
        self._loading = loading
        self._starts = starts

    def __iter__(self) -> Iterator[_FromShards | Failed]:
        info = get_worker_info()
        worker, num_workers = (0, 1) if info is None else (info.id, info.num_workers)
        world_size = self._loading.world_size
        # Neighbours in the order of shards belong to different training processes.
        reader = Reader(
            index=worker * world_size + self._loading.rank, count=num_workers * world_size
        )
        mixture = Mixture(self._settings, reader=reader, starts=self._starts)
        try:
            while True:
                crops = [mixture.draw() for _ in range(self._loading.batch_size)]
                yield _FromShards(
                    images=to_batch(crops),
                    skipped=mixture.take_skipped(),
                    worker=worker,
                    rounds=mixture.rounds,
                )
        except PictureError as error:
            yield Failed(message=str(error))
