"""Batches from worker processes, with word of what was skipped on the way."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dcae_export.errors import ConfigError, PictureError
from dcae_export.pictures.pixels import to_tensor
from dcae_export.pictures.skipped import Skip
from dcae_export.training.engine.worker_death import told_of_killed_workers


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """One training process's share of the data, and the processes that read it.

    ``batch_size`` is that of a micro-batch of this process. With 0 ``workers`` the process reads for itself.

    Raises:
        ConfigError: A batch without pictures, fewer than 0 workers, or a rank outside the world.
    """

    batch_size: int
    workers: int = 0
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.workers < 0:
            raise ConfigError("a batch has at least 1 picture, and 0 or more workers read it")
        if not 0 <= self.rank < self.world_size:
            raise ConfigError(f"there is no process {self.rank} among {self.world_size}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A micro-batch, (batch, 3, size, size) float32 in [-1, 1], and what was skipped for it."""

    images: Tensor
    skipped: tuple[Skip, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """Why no further batch can be made, in one line.

    A value, because DataLoader turns an exception of a worker into many lines.
    """

    message: str


LoadedT = TypeVar("LoadedT", bound=Loaded)


def to_batch(crops: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Crops of (size, size, 3) RGB, 0 to 255, as (batch, 3, size, size) float32 in [-1, 1]."""
    return torch.from_numpy(to_tensor(np.stack(crops)))  # pyright: ignore[reportUnknownMemberType]


def load(
    dataset: Dataset[LoadedT | Failed], *, sampler: Iterable[range] | None, workers: int
) -> Iterator[LoadedT]:
    """Take micro-batches from a data set in this or in worker processes, in the same order.

    Args:
        dataset: What makes a whole micro-batch of a ``range``, or yields micro-batches.
        sampler: The ranges, for a data set that takes them.
        workers: The number of processes; 0 for none but this one.

    Raises:
        PictureError: The data set failed.
        ResourceError: A worker was killed.
    """
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        worker_init_fn=_start_worker,
        # Otherwise a number is drawn from torch's own generator, and resuming would change what follows.
        generator=torch.Generator(),
    )
    with told_of_killed_workers():
        for item in cast("Iterator[LoadedT | Failed]", iter(loader)):
            if isinstance(item, Failed):
                raise PictureError(item.message)
            yield item


def require_position(position: dict[str, int], names: Iterable[str]) -> None:
    """Check that a stored position is one of this data.

    Raises:
        ConfigError: It names what this data does not have.
    """
    unknown = sorted(position.keys() - set(names))
    if unknown:
        raise ConfigError(
            f"the checkpoint was made with other data: its position names {unknown[0]!r}; resume with "
            "the same data, or start a run from its weights"
        )


def _start_worker(_: int) -> None:
    # OpenCV's pool of threads does not survive a fork: waiting for it would never end.
    cv2.setNumThreads(0)
    # Ctrl-C and a signal to the whole group are for the main process, which needs the worker to end its step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        os.setpgid(0, 0)
