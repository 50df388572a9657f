"""A folder of latents as training data: exact to the sample, and resumed bit for bit."""

from collections.abc import Iterator
from typing import Final, Self

from dcae_export.training.data.loading import Loading, require_position
from dcae_export.training.data.positions import EpochOrder, Positions
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.folder import LatentFolder

SAMPLE: Final = "sample"


class LatentData:
    """Micro-batches of a folder of latents for one training process.

    Sample n is of epoch n // len, and is the latent at place n % len in that epoch's order, a permutation drawn
    from the seed and the epoch: the same on every machine with the same release of NumPy. The position is the
    number of samples that all processes have taken together, so a run may be resumed with another number of
    processes or another batch size. Data of one seed and other ``stream`` have orders of their own.
    """

    def __init__(
        self, folder: LatentFolder, *, loading: Loading, seed: int, stream: tuple[int, ...] = ()
    ) -> None:
        self._folder = folder
        self._loading = loading
        self._order = EpochOrder(folder.count, key=(seed,), stream=stream)

    @classmethod
    def open(
        cls,
        folder: LatentFolder,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> Self:
        """Take a process's share of a folder; ``batch_size`` is that of this process's micro-batch.

        Raises:
            ConfigError: A batch without latents, or a rank outside the world.
        """
        loading = Loading(batch_size=batch_size, rank=rank, world_size=world_size)
        return cls(folder, loading=loading, seed=seed)

    def __len__(self) -> int:
        """Latents that each epoch shows once."""
        return self._folder.count

    def batches(self, position: dict[str, int]) -> Iterator[tuple[LatentBatch, dict[str, int]]]:
        """Micro-batches from a position on, for ever, each with the position after it.

        Args:
            position: What came with the last micro-batch that was used; {} is the beginning.

        Yields:
            The micro-batch, and the position to store.

        Raises:
            ConfigError: The position is one of other data.
        """
        require_position(position, [SAMPLE])
        positions = Positions(
            start=position.get(SAMPLE, 0),
            batch_size=self._loading.batch_size,
            rank=self._loading.rank,
            world_size=self._loading.world_size,
        )
        done = positions.start
        for samples in positions:
            latents, labels = self._folder.read([self._order.at(sample) for sample in samples])
            done += positions.stride
            yield LatentBatch(latents=latents, labels=labels), {SAMPLE: done}
