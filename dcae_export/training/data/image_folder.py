"""A folder of pictures as training data: exact to the sample, and resumed bit for bit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dcae_export.errors import PictureError
from dcae_export.pictures.crops import Crop, EvaluationCrop, cut
from dcae_export.pictures.file_names import FileNames
from dcae_export.pictures.folder_scan import scan
from dcae_export.pictures.skipped import MAX_FAILURES_IN_A_ROW, Skip, Skipped
from dcae_export.pictures.usable_picture import read_usable
from dcae_export.training.data.loading import (
    Failed,
    Loaded,
    Loading,
    load,
    require_position,
    to_batch,
)
from dcae_export.training.data.positions import EpochOrder, Positions

# Apart from crops, which are drawn from (seed, sample), orders are drawn from (seed, epoch, this).
_ORDER: Final = 1
_SAMPLE: Final = "sample"


class ImageFolder:
    """Training samples of a folder by number: sample n is a function of the pictures, the seed and n only.

    Sample n is of epoch n // len, and of the picture at place n % len in that epoch's order, a permutation
    drawn from the seed and the epoch. What is cut out of it is drawn from the seed and n. Where a picture
    cannot be decoded, the one at the next place stands in.

    Numbers are the same on every machine with the same release of NumPy.
    """

    def __init__(self, folder: Path, names: FileNames, *, crop: Crop, seed: int) -> None:
        assert len(names)
        assert seed >= 0
        self._folder = folder
        self._names = names
        self._crop = crop
        self._seed = seed
        self._order = EpochOrder(len(names), key=(seed,), stream=(_ORDER,))

    def __len__(self) -> int:
        return len(self._names)

    def for_evaluation(self) -> "ImageFolder":
        """The same pictures in the same order, cut as for evaluation."""
        crop = EvaluationCrop(size=self._crop.size, enlarge=self._crop.enlarge)
        return ImageFolder(self._folder, self._names, crop=crop, seed=self._seed)

    def sample(self, n: int) -> tuple[NDArray[np.uint8], tuple[Skip, ...]]:
        """Sample ``n``, from 0 on: (size, size, 3) RGB, and the pictures that could not be decoded.

        Raises:
            PictureError: Too many pictures in a row cannot be decoded.
        """
        epoch, place = divmod(n, len(self))
        order = self._order.of(epoch)
        skips: list[Skip] = []
        for step in range(min(len(self), MAX_FAILURES_IN_A_ROW)):
            name = self._names[int(order[(place + step) % len(self)])]
            image = read_usable(self._folder, name, min_side=self._crop.min_side)
            if isinstance(image, Skip):
                skips.append(image)
                continue
            generator = np.random.default_rng([self._seed, n])
            return cut(image, self._crop, generator), tuple(skips)
        last = skips[-1]
        raise PictureError(
            f"{self._folder}: {len(skips)} pictures in a row cannot be read; the last, {last.name}: "
            f"{last.detail}; check that the folder is still there"
        )


class ImageFolderData:
    """Micro-batches of a folder for one training process.

    The position is the number of samples that all processes have taken together, so a run may be resumed with
    another number of processes or another batch size.
    """

    def __init__(self, images: ImageFolder, *, loading: Loading, skipped: Skipped) -> None:
        self._images = images
        self._loading = loading
        self.skipped = skipped

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        crop: Crop,
        loading: Loading,
        seed: int,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Scan a folder; ``on_progress`` gets the numbers of examined and of all pictures.

        Raises:
            PictureError: The folder cannot be read, or holds no picture that can be trained on.
        """
        names, skipped = scan(folder, min_side=crop.min_side, on_progress=on_progress)
        images = ImageFolder(folder, names, crop=crop, seed=seed)
        return cls(images, loading=loading, skipped=skipped)

    def __len__(self) -> int:
        """Pictures that each epoch shows once."""
        return len(self._images)

    def for_evaluation(self) -> "ImageFolderData":
        """The same pictures in the same order, cut as for evaluation."""
        images = self._images.for_evaluation()
        return ImageFolderData(images, loading=self._loading, skipped=self.skipped)

    def batches(self, position: dict[str, int]) -> Iterator[tuple[Tensor, dict[str, int]]]:
        """Micro-batches from a position on, for ever, each with the position after it.

        Args:
            position: What came with the last micro-batch that was used; {} is the beginning.

        Yields:
            (batch, 3, size, size) float32 in [-1, 1], and the position to store.

        Raises:
            ConfigError: The position is one of other data.
            PictureError: Too many pictures in a row cannot be decoded.
            ResourceError: A worker process was killed.
        """
        require_position(position, [_SAMPLE])
        positions = Positions(
            start=position.get(_SAMPLE, 0),
            batch_size=self._loading.batch_size,
            rank=self._loading.rank,
            world_size=self._loading.world_size,
        )
        done = positions.start
        dataset = _FolderBatches(self._images)
        for loaded in load(dataset, sampler=positions, workers=self._loading.workers):
            self.skipped.add(loaded.skipped)
            done += positions.stride
            yield loaded.images, {_SAMPLE: done}


class _FolderBatches(Dataset[Loaded | Failed]):
    """A micro-batch for each range of sample numbers."""

    def __init__(self, images: ImageFolder) -> None:
        self._images = images

    def __getitem__(self, numbers: range) -> Loaded | Failed:
        try:
            samples = [self._images.sample(n) for n in numbers]
        except PictureError as error:
            return Failed(message=str(error))
        skipped = tuple(skip for _, skips in samples for skip in skips)
        return Loaded(images=to_batch([image for image, _ in samples]), skipped=skipped)
