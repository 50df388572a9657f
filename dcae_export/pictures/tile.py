"""Pictures of one size beside and below each other."""

import math

import numpy as np
from numpy.typing import NDArray

_GAP = 4


def tile(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One picture of several, as near a square as they make, on white.

    Args:
        images: (N, height, width, 3) RGB.

    Returns:
        (sheet height, sheet width, 3); a single picture stays as it is.
    """
    count, height, width, channels = images.shape
    if count == 1:
        return images[0]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full(
        (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, channels), 255, np.uint8
    )
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + _GAP), (index % columns) * (width + _GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet
