"""Stripes: bands of a few colours, straight, bent, waved or folded, each casting a shadow on the next."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recipes.demo.canvas import Generator, Picture, Plane, Planes, Window, finish
from recipes.demo.edges import steepness
from recipes.demo.light import uneven_light
from recipes.demo.oklab import Colours
from recipes.demo.palettes import choose

_PALETTES = (
    "f4f1de e07a5f 3d405b 81b29a f2cc8f",
    "264653 2a9d8f e9c46a f4a261 e76f51",
    "f8f4e3 d62839 1d3557",
    "ffffff 1b4965 62b6cb bee9e8",
    "2b2d42 ef233c edf2f4 8d99ae",
    "ffbe0b fb5607 ff006e 8338ec 3a86ff",
    "f7ede2 f5cac3 84a59d f28482 f6bd60",
    "0b132b 3a506b 5bc0be f0f3bd",
    "fdf0d5 c1121f 669bbc 003049",
    "231942 5e548e 9f86c0 e0b1cb",
    "386641 6a994e a7c957 f2e8cf bc4749",
    "f7f7f7 222222",
    "ffd6a5 fdffb6 caffbf 9bf6ff bdb2ff",
)


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    palette = choose(generator, _PALETTES, hue=0.3)
    palette = generator.permutation(palette)
    course = _COURSES[int(generator.integers(len(_COURSES)))]
    planes = _bands(generator, course(generator, whole), palette)
    planes *= uneven_light(generator, whole, 0.05)
    return finish(planes)


def _bands(generator: Generator, across: Plane, palette: Colours) -> Planes:
    """Bands whose edges are where ``across`` has certain values."""
    side = across.shape[0]
    widths = generator.uniform(0.45, 1.3, len(palette))
    widths *= generator.uniform(0.26, 0.58) * min(len(palette), 4) / 4 / widths.sum()
    # The bands repeat from well before the picture to well after it.
    repeats = math.ceil(4 / widths.sum())
    edges = np.cumsum(np.tile(widths, repeats)).astype(np.float32) - 2
    table = np.tile(palette.T, repeats)
    number = np.searchsorted(edges, across)
    slope = steepness(across)
    behind = (across - edges[number - 1]) / slope
    ahead = (edges[number] - across) / slope
    is_first = behind < ahead
    neighbour = np.where(is_first, number - 1, number + 1)
    # A pixel on an edge shows both of its bands.
    share = np.clip(0.5 - np.minimum(behind, ahead) * side, 0, 0.5)
    strength, reach = generator.uniform(0.0, 0.4), generator.uniform(0.015, 0.04)
    nearness = np.maximum(1 - behind / reach, 0)
    shade = (1 - strength * nearness * nearness) * (1 - share)
    neighbours_shade = np.where(is_first, 1, np.float32(1 - strength)) * share
    planes = np.take(table, number, axis=1)
    planes *= shade
    beside = np.take(table, neighbour, axis=1)
    beside *= neighbours_shade
    planes += beside
    return planes


def _turned(generator: Generator, whole: Window) -> tuple[Plane, Plane]:
    """Places across the bands and along them, from the middle."""
    angle = generator.uniform(0, math.pi)
    x, y = whole.x - 0.5, whole.y - 0.5
    return (
        math.cos(angle) * x + math.sin(angle) * y,
        math.cos(angle) * y - math.sin(angle) * x,
    )


def _straight(generator: Generator, whole: Window) -> Plane:
    return _turned(generator, whole)[0] + generator.uniform(0, 0.5)


def _bent(generator: Generator, whole: Window) -> Plane:
    across, along = _turned(generator, whole)
    radius = generator.uniform(0.75, 1.6)
    return np.hypot(across + radius, along) - radius


def _waved(generator: Generator, whole: Window) -> Plane:
    across, along = _turned(generator, whole)
    turns = 2 * math.pi / generator.uniform(0.4, 0.95)
    height = generator.uniform(0.15, 0.5) / turns
    return across + height * np.sin(turns * along + generator.uniform(0, 2 * math.pi))


def _folded(generator: Generator, whole: Window) -> Plane:
    across, along = _turned(generator, whole)
    period = generator.uniform(0.35, 0.8)
    place = along / period + generator.uniform(0, 1)
    return across + generator.uniform(0.5, 1.0) * period * np.abs(place - np.floor(place) - 0.5)


_COURSES: tuple[Callable[[Generator, Window], NDArray[np.float32]], ...] = (
    _straight,
    _bent,
    _waved,
    _folded,
)
