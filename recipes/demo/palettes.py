"""Colours that go together: chosen by hand, varied a little for each picture, and ramps between them."""

import math
from collections.abc import Sequence

import numpy as np

from recipes.demo.canvas import Colour, Generator, Plane, Planes
from recipes.demo.oklab import Colours, from_oklab, to_oklab

_RAMP_STEPS = 1024


def colour(code: str) -> Colour:
    """The colour (3,) of six hexadecimal digits."""
    return np.frombuffer(bytes.fromhex(code), np.uint8).astype(np.float32) / 255


def colours(codes: str) -> Colours:
    """The colours (n, 3) of a line of codes with spaces between them."""
    return np.stack([colour(code) for code in codes.split()])


def choose(generator: Generator, palettes: Sequence[str], *, hue: float = 0.16) -> Colours:
    """One of the palettes, (n, 3), with all its colours shifted together.

    Args:
        generator: What is drawn from.
        palettes: Each a line of codes.
        hue: The standard deviation of the turn of the hues, in radians.
    """
    return vary(generator, colours(palettes[int(generator.integers(len(palettes)))]), hue=hue)


def vary(generator: Generator, palette: Colours, *, hue: float) -> Colours:
    """Turn all hues by one angle, of ``hue`` radians of standard deviation, and shift lightness and strength a little."""
    lab = to_oklab(palette)
    angle, lightness = generator.normal(0, hue), generator.normal(0, 0.02)
    strength = generator.uniform(0.85, 1.12)
    green, blue = lab[:, 1].copy(), lab[:, 2].copy()
    lab[:, 0] += lightness
    lab[:, 1] = strength * (math.cos(angle) * green - math.sin(angle) * blue)
    lab[:, 2] = strength * (math.sin(angle) * green + math.cos(angle) * blue)
    return from_oklab(lab)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour (3,) on the way from the first to the second."""
    lab = to_oklab(np.stack([first, second]))
    return from_oklab(lab[0] + (lab[1] - lab[0]) * share)


class Ramp:
    """Colours for values of 0 to 1; between two stops they change evenly to the eye.

    Args:
        stops: (n, 3), evenly spread from 0 to 1.
    """

    def __init__(self, stops: Colours) -> None:
        places, steps = np.linspace(0, 1, len(stops)), np.linspace(0, 1, _RAMP_STEPS)
        lab = to_oklab(stops)
        channels = [np.interp(steps, places, lab[:, channel]) for channel in range(3)]
        self._table = np.ascontiguousarray(from_oklab(np.stack(channels, axis=1)).T)

    def at(self, values: Plane) -> Planes:
        """Colours (3, height, width) for values (height, width); those outside count as the nearer end."""
        steps = np.clip(values * (_RAMP_STEPS - 1) + 0.5, 0, _RAMP_STEPS - 1).astype(np.intp)
        return np.take(self._table, steps, axis=1)
