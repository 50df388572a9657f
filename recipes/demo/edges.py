"""Edges that are equally sharp at every size: how much of a pixel a shape covers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recipes.demo.canvas import Plane, Window


def coverage(inside: Plane, side: int) -> Plane:
    """The share of each pixel that a shape covers.

    Args:
        inside: How far a pixel's centre is from the shape's edge, positive within it, in sides of the picture.
        side: Pixels to a side.

    Returns:
        0 to 1.
    """
    return np.clip(inside * side + 0.5, 0, 1)


def smoothstep(low: float, high: float, values: Plane) -> Plane:
    """0 up to ``low``, 1 from ``high`` on, and a cubic without corners between them."""
    share = np.clip((values - low) * (1 / (high - low)), 0, 1)
    return share * share * (3 - 2 * share)


def steepness(values: Plane) -> Plane:
    """How fast the values of a whole picture change, by the picture's side; never 0.

    A value divided by it is a distance, where values change evenly.
    """
    down, right = np.gradient(values)
    return np.maximum(np.hypot(down, right) * values.shape[0], np.float32(1e-6))


def distance_to_lines(side: int, lines: Sequence[NDArray[np.float32]], reach: float) -> Plane:
    """The distance of every pixel to the nearest of some lines, ``reach`` where it is farther.

    Args:
        side: Pixels to a side.
        lines: Each (points, 2), x and y, joined in their order by straight segments.
        reach: The largest distance that is told.
    """
    squares = np.full((side, side), reach * reach, np.float32)
    for line in lines:
        for (x0, y0), (x1, y1) in zip(line[:-1].tolist(), line[1:].tolist(), strict=True):
            window = Window.between(
                side,
                (min(x0, x1) - reach, min(y0, y1) - reach),
                (max(x0, x1) + reach, max(y0, y1) + reach),
            )
            right, down = x1 - x0, y1 - y0
            from_x, from_y = window.x - x0, window.y - y0
            length = max(right * right + down * down, 1e-12)
            along = np.clip(from_x * (right / length) + from_y * (down / length), 0, 1)
            off_x, off_y = from_x - along * right, from_y - along * down
            view = window.of(squares)
            np.minimum(view, off_x * off_x + off_y * off_y, out=view)
    return np.sqrt(squares)
