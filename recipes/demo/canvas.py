"""A picture while it is drawn: planes of colour, and windows onto them.

Places and lengths are in sides of the picture, x to the right and y down, so that a drawing is the same at every
size. Colours are RGB as files store them, 0 to 1.
"""

import math
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

Generator = np.random.Generator
# One value a pixel, (height, width); either may be 1 where it does not matter.
Plane = NDArray[np.float32]
# Red, green and blue.
Colour = NDArray[np.float32]
# (3, height, width): loops over pixels run faster along a plane than across three interleaved ones.
Planes = NDArray[np.float32]
# (height, width, 3), 0 to 255.
Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A rectangle of the picture's pixels, maybe none.

    ``x`` (1, width) and ``y`` (height, 1) are the centres of its pixels.
    """

    side: int
    rows: slice
    columns: slice
    x: Plane
    y: Plane

    @classmethod
    def whole(cls, side: int) -> Self:
        """All pixels of a picture of ``side`` by ``side``."""
        return cls.between(side, (0, 0), (1, 1))

    @classmethod
    def around(cls, side: int, x: float, y: float, reach: float) -> Self:
        """The pixels that are at most ``reach`` from a place, right, left, above and below."""
        return cls.between(side, (x - reach, y - reach), (x + reach, y + reach))

    @classmethod
    def between(cls, side: int, first: tuple[float, float], last: tuple[float, float]) -> Self:
        """The pixels from the corner ``first``, which is left and above, to the corner ``last``."""
        columns, rows = (_pixels(side, first[axis], last[axis]) for axis in (0, 1))
        return cls(
            side=side,
            rows=rows,
            columns=columns,
            x=_centres(columns, side)[None, :],
            y=_centres(rows, side)[:, None],
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.y.shape[0], self.x.shape[1]

    def of(self, plane: Plane) -> Plane:
        """The window's part of a plane of the whole picture; a view."""
        return plane[self.rows, self.columns]


def filled(side: int, colours: NDArray[np.float32]) -> Planes:
    """A picture of one colour (3,), or of colours that broadcast to (3, side, side)."""
    return np.broadcast_to(_as_planes(colours), (3, side, side)).copy()


def paint(planes: Planes, window: Window, colours: NDArray[np.float32], coverage: Plane) -> None:
    """Lay colours, (3,) or (3, height, width), over a window, as opaque as ``coverage`` says, 0 to 1."""
    view = planes[:, window.rows, window.columns]
    change = _as_planes(colours) - view
    change *= coverage
    view += change


def shine(planes: Planes, window: Window, colours: NDArray[np.float32], amount: Plane) -> None:
    """Add light to a window; what is 1 stays so, and nothing is above it."""
    view = planes[:, window.rows, window.columns]
    change = 1 - view
    change *= _as_planes(colours)
    change *= np.minimum(amount, 1)
    view += change


def finish(planes: Planes) -> Picture:
    """Round to 8 bits."""
    levels = (np.clip(planes, 0, 1) * 255 + 0.5).astype(np.uint8)
    return cv2.merge(list(levels))


def _pixels(side: int, first: float, last: float) -> slice:
    start = min(max(math.floor(first * side), 0), side)
    return slice(start, max(min(math.ceil(last * side), side), start))


def _centres(pixels: slice, side: int) -> NDArray[np.float32]:
    return ((np.arange(pixels.start, pixels.stop) + 0.5) / side).astype(np.float32)


def _as_planes(colours: NDArray[np.float32]) -> Planes:
    return colours[:, None, None] if colours.ndim == 1 else colours
