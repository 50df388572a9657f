"""Read a picture that a scan found, or say why it is left out."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import PictureError
from dcae_export.pictures.picture_file import read_picture
from dcae_export.pictures.skipped import Skip, SkipReason, size_problem


def read_usable(folder: Path, name: str, *, min_side: int) -> NDArray[np.uint8] | Skip:
    """Decode one picture of a folder.

    Args:
        folder: The folder.
        name: The picture's name, relative to the folder.
        min_side: The shortest side in pixels that it may have.

    Returns:
        (height, width, 3) RGB, 0 to 255; why it is left out where it cannot be decoded or has another size than
        the scan saw.
    """
    path = folder / name
    try:
        image = read_picture(path)
    except PictureError as error:
        detail = str(error).removeprefix(f"{path}: ")
        return Skip.of(name, SkipReason.UNREADABLE, detail)
    # The file may be another one than the scan saw.
    height, width = image.shape[:2]
    problem = size_problem(name, (width, height), min_side=min_side)
    return image if problem is None else problem


def read_found(folder: Path, name: str, *, min_side: int) -> NDArray[np.uint8] | Skip:
    """The same where every picture that was found counts, and none stands in for another.

    Raises:
        PictureError: It is gone since it was found: a disk that was taken away must not become a smaller set of
            pictures.
    """
    image = read_usable(folder, name, min_side=min_side)
    path = folder / name
    if isinstance(image, Skip) and not os.access(path, os.F_OK):
        raise PictureError(f"{path}: is gone since it was found; put it back")
    return image
