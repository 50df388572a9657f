"""The pictures of a folder by number, cut as for evaluation, from worker processes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dcae_export.errors import PictureError
from dcae_export.pictures.crops import adm_crop
from dcae_export.pictures.skipped import Skip
from dcae_export.pictures.usable_picture import read_found
from dcae_export.training.data.labelled_pictures import LabelledPictures
from dcae_export.training.data.loading import Failed, Loaded, load, to_batch


@dataclass(frozen=True, kw_only=True, slots=True)
class CroppedPictures(Loaded):
    """Of the ``num_asked`` pictures of a range, ``images`` has those of ``numbers``, ``skipped`` the others."""

    numbers: tuple[int, ...]
    num_asked: int


def cropped_pictures(
    pictures: LabelledPictures, *, size: int, ranges: Iterable[range], workers: int
) -> Iterator[CroppedPictures]:
    """ADM's crops of the pictures of each range of numbers, in the order of the ranges.

    Args:
        pictures: The folder.
        size: The side of the crops in pixels.
        ranges: Whose pictures come together.
        workers: How many processes decode; 0 for none but this one.

    Raises:
        PictureError: A picture is not there any more.
        ResourceError: A worker was killed.
    """
    return load(_Crops(pictures, size), sampler=ranges, workers=workers)


class _Crops(Dataset[CroppedPictures | Failed]):
    """The crops of a range of numbers."""

    def __init__(self, pictures: LabelledPictures, size: int) -> None:
        self._pictures = pictures
        self._size = size

    def __getitem__(self, numbers: range) -> CroppedPictures | Failed:
        try:
            found = {number: self._crop(number) for number in numbers}
        except PictureError as error:
            return Failed(message=str(error))
        skips = tuple(one for one in found.values() if isinstance(one, Skip))
        crops = {number: one for number, one in found.items() if not isinstance(one, Skip)}
        return CroppedPictures(
            images=to_batch(list(crops.values())) if crops else torch.empty(0),
            skipped=skips,
            numbers=tuple(crops),
            num_asked=len(numbers),
        )

    def _crop(self, number: int) -> NDArray[np.uint8] | Skip:
        pictures = self._pictures
        image = read_found(pictures.folder, pictures.names[number], min_side=pictures.min_side)
        return image if isinstance(image, Skip) else adm_crop(image, self._size)
