"""Folders of latents of several sizes: which go together, and as training data."""

import math
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final, Self

from dcae_export.errors import ConfigError
from dcae_export.training.data.loading import Loading, require_position
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.data import SAMPLE, LatentData
from dcae_export.training.latents.folder import LatentFolder

_BATCH: Final = "batch"


def open_sizes(paths: Sequence[Path]) -> tuple[LatentFolder, ...]:
    """Folders of latents that one network can be trained on, each of another grid.

    Raises:
        ConfigError: Channels, classes or autoencoder differ, or two have the same grid.
        DcaeError: As ``LatentFolder.open``.
    """
    folders = tuple(LatentFolder.open(path) for path in paths)
    for at, (path, folder) in enumerate(zip(paths, folders, strict=True)):
        _require_alike(path, folder, first=paths[0], expected=folders[0])
        grids = [earlier.shape[1:] for earlier in folders[:at]]
        if folder.shape[1:] in grids:
            rows, columns = folder.shape[1:]
            raise ConfigError(
                f"{path}: latents of {rows}x{columns}, as those of {paths[grids.index((rows, columns))]}; "
                "one folder of each size: dcae latents encodes all pictures of a size into one"
            )
    return folders


def equal_tokens(folders: Sequence[LatentFolder], batch_size: int) -> tuple[int, ...]:
    """How many latents a micro-batch of each folder holds.

    ``batch_size`` of the first folder; of the others as many as have no more tokens than those, and at least 1.
    """
    positions = batch_size * math.prod(folders[0].shape[1:])
    return tuple(max(1, positions // math.prod(folder.shape[1:])) for folder in folders)


class LatentSizes:
    """Micro-batches of several folders of latents in turn, for one training process.

    Micro-batch n is of folder n % k, and the folder's own next one, as ``LatentData`` has them; each folder has an
    order of its own. The position names the micro-batches that were taken, and by its grid how many samples of each
    folder all processes have taken together.
    """

    def __init__(self, sizes: dict[str, LatentData]) -> None:
        """Take the folders in this order; a name stands for one in the position."""
        self._sizes = sizes

    @classmethod
    def open(
        cls,
        folders: Sequence[LatentFolder],
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> Self:
        """Take a process's share of folders, whose micro-batches are as ``equal_tokens`` says.

        Raises:
            ConfigError: A batch without latents, or a rank outside the world.
        """
        return cls(
            {
                _grid_name(folder): LatentData(
                    folder,
                    loading=Loading(batch_size=size, rank=rank, world_size=world_size),
                    seed=seed,
                    stream=(number,),
                )
                for number, (folder, size) in enumerate(
                    zip(folders, equal_tokens(folders, batch_size), strict=True)
                )
            }
        )

    def batches(self, position: dict[str, int]) -> Iterator[tuple[LatentBatch, dict[str, int]]]:
        """Micro-batches from a position on, for ever, each with the position after it.

        Args:
            position: What came with the last micro-batch that was used; {} is the beginning.

        Yields:
            The micro-batch, and the position to store.

        Raises:
            ConfigError: The position is one of other data.
        """
        names = list(self._sizes)
        require_position(position, [_BATCH, *names])
        taken = {name: position.get(name, 0) for name in names}
        streams = {name: data.batches({SAMPLE: taken[name]}) for name, data in self._sizes.items()}
        for number in count(position.get(_BATCH, 0)):
            name = names[number % len(names)]
            batch, after = next(streams[name])
            taken[name] = after[SAMPLE]
            yield batch, {_BATCH: number + 1, **taken}


def _grid_name(folder: LatentFolder) -> str:
    _, rows, columns = folder.shape
    return f"{rows}x{columns}"


def _require_alike(
    path: Path, folder: LatentFolder, *, first: Path, expected: LatentFolder
) -> None:
    own, wanted = folder.autoencoder, expected.autoencoder
    differing = {
        "channels": folder.shape[0] != expected.shape[0],
        "classes": folder.classes != expected.classes,
        "autoencoder": (own.encoder_sha256, own.scaling_factor)
        != (wanted.encoder_sha256, wanted.scaling_factor),
    }
    if any(differing.values()):
        what = ", ".join(name for name, differs in differing.items() if differs)
        raise ConfigError(
            f"{path}: latents of other {what} than {first}; make both with dcae latents, by one autoencoder and of "
            "the same class folders, or leave one out"
        )
