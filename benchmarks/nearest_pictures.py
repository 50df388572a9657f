"""Which picture of a set each of others resembles most: whether a generated one is a copy.

Pictures are compared as thumbnails of 16 x 16 pixels, averages of what they stand for: where what is, in which
colour, and not each edge. The distance is the root mean square difference in levels. Mirrored left to right a copy
is a copy still, so each of the set counts both ways.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 16

Picture = NDArray[np.uint8]
# (count, SIDE, SIDE, 3), 0 to 255.
Thumbnails = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """For each thumbnail that was asked for: the number of the nearest in the set, and how far it is, in levels."""

    numbers: NDArray[np.intp]
    distances: NDArray[np.float32]


def thumbnail(picture: Picture) -> NDArray[np.float32]:
    """(SIDE, SIDE, 3) of a picture (height, width, 3) of at least that size."""
    return cv2.resize(picture.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def nearest(asked: Thumbnails, known: Thumbnails) -> Nearest:
    """The nearest of ``known``, as it is or mirrored, to each of ``asked``."""
    queries = asked.reshape(len(asked), -1)
    both = np.concatenate([known, known[:, :, ::-1]]).reshape(2 * len(known), -1)
    # Up to what is the same for all of them, the squared distances.
    order = (both**2).sum(axis=1) - 2 * queries @ both.T
    numbers = order.argmin(axis=1)
    distances = np.sqrt(((queries - both[numbers]) ** 2).mean(axis=1))
    return Nearest(numbers=numbers % len(known), distances=distances)
