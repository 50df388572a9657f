"""Mosaics: angular pieces of coloured glass in grout, laid as rings, rays, waves, a spiral or diamonds."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recipes.demo.canvas import Colour, Generator, Picture, Planes, Window, filled, finish, paint
from recipes.demo.edges import coverage
from recipes.demo.light import uneven_light
from recipes.demo.oklab import Colours, from_oklab, to_oklab
from recipes.demo.palettes import choose

Places = NDArray[np.float64]

# Grout, then pieces.
_PALETTES = (
    "f4efe4 0f4c81 2a9db0 f2c14e f78154 b4436c",
    "1c1b22 e63946 f4a261 2a9d8f 264ac0 f1faee",
    "efe6d5 7a1f2b c8553d f28f3b ffd5a2 588b8b",
    "221a2b 7b2cbf c77dff 48cae4 f72585 ffd166",
    "f6f2ea 1b4332 40916c 95d5b2 d4a373 faedcd",
    "12202b 0077b6 00b4d8 90e0ef caf0f8 ffb703",
    "2b1d14 bc6c25 dda15e fefae0 606c38 283618",
    "f7f3ee d62246 4b1d3f 17bebb d4f4dd f3a712",
    "1f1f1f f94144 f8961e f9c74f 43aa8b 577590",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Piece:
    """A convex piece: the place it was cut around, its corners' extent, and what it borders on, (n, 2)."""

    x: float
    y: float
    first: tuple[float, float]
    last: tuple[float, float]
    neighbours: Places


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    palette = choose(generator, _PALETTES, hue=0.3)
    spacing = generator.uniform(0.095, 0.15)
    seeds = _seeds(generator, spacing)
    pattern = _PATTERNS[int(generator.integers(len(_PATTERNS)))]
    glass = generator.permutation(palette[1:])
    members = np.floor(pattern(generator, seeds)).astype(np.intp)
    strays = generator.random(len(seeds)) < 0.06
    members = np.where(strays, generator.integers(0, len(glass), len(seeds)), members)
    planes = filled(side, palette[0])
    grout = spacing * generator.uniform(0.07, 0.13)
    tints = _batches(generator, glass[members % len(glass)])
    tilts = generator.normal(0, 0.13, (len(seeds), 2))
    for piece, tint, tilt in zip(_cut(seeds), tints, tilts.tolist(), strict=True):
        if piece is not None:
            _lay(planes, piece, tint, grout, tilt)
    planes *= uneven_light(generator, Window.whole(side), 0.07)
    return finish(planes)


def _batches(generator: Generator, tints: Colours) -> Colours:
    """Glass of one name, molten at different times."""
    lab = to_oklab(tints)
    lab += generator.normal(0, (0.03, 0.012, 0.012), lab.shape)
    return from_oklab(lab)


def _seeds(generator: Generator, spacing: float) -> Places:
    """A hexagonal lattice, shaken; two rows more on every side than the picture shows."""
    height = spacing * math.sqrt(0.75)
    count = math.ceil(1 / height) + 4
    rows, columns = np.mgrid[:count, :count]
    places = np.stack([(columns + rows % 2 / 2) * spacing, rows * height], axis=-1).reshape(-1, 2)
    places += generator.normal(0, 0.16 * spacing, places.shape)
    return places - 2 * spacing


def _cut(seeds: Places) -> Iterator[_Piece | None]:
    """The piece around each seed; None for those that the picture does not show."""
    # It takes longer to load than everything else here, and only mosaics are cut.
    from scipy.spatial import Voronoi  # noqa: PLC0415

    cells = Voronoi(seeds)
    neighbours: list[list[int]] = [[] for _ in seeds]
    for first, second in cells.ridge_points.tolist():
        neighbours[first].append(second)
        neighbours[second].append(first)
    for place, region in enumerate(cells.point_region.tolist()):
        corners = cells.regions[region]
        # Those at the rim of the seeds have no end.
        if -1 in corners:
            yield None
            continue
        (left, top), (right, bottom) = np.sort(cells.vertices[corners], axis=0)[[0, -1]].tolist()
        if min(right, bottom) < 0 or max(left, top) > 1:
            yield None
            continue
        x, y = seeds[place].tolist()
        yield _Piece(
            x=x, y=y, first=(left, top), last=(right, bottom), neighbours=seeds[neighbours[place]]
        )


def _lay(planes: Planes, piece: _Piece, tint: Colour, grout: float, tilt: list[float]) -> None:
    side = planes.shape[1]
    window = Window.between(side, piece.first, piece.last)
    inside = np.full(window.shape, np.inf, np.float32)
    for x, y in piece.neighbours.tolist():
        # Halfway to the neighbour is the edge.
        right, down = piece.x - x, piece.y - y
        length = math.hypot(right, down)
        right, down = right / length, down / length
        middle = (piece.x + x) / 2 * right + (piece.y + y) / 2 * down
        np.minimum(inside, window.x * right + (window.y * down - middle), out=inside)
    size = max(piece.last[0] - piece.first[0], piece.last[1] - piece.first[1])
    shade = 1 + (tilt[0] / size) * (window.x - piece.x) + (tilt[1] / size) * (window.y - piece.y)
    colours = tint[:, None, None] * shade
    paint(planes, window, colours, coverage(inside - grout / 2, side))


def _from_centre(generator: Generator, places: Places) -> tuple[NDArray[np.float64], Places]:
    """Distances and angles of places around one that the picture shows."""
    away = places - generator.uniform(0.25, 0.75, 2)
    return np.hypot(away[:, 0], away[:, 1]), np.arctan2(away[:, 1], away[:, 0])


def _rings(generator: Generator, places: Places) -> Places:
    distance, _ = _from_centre(generator, places)
    return distance / generator.uniform(0.13, 0.2)


def _rays(generator: Generator, places: Places) -> Places:
    distance, angle = _from_centre(generator, places)
    count = 5 * int(generator.integers(2, 4))
    return (angle / (2 * math.pi) + generator.uniform(0, 0.35) * distance) * count


def _spiral(generator: Generator, places: Places) -> Places:
    distance, angle = _from_centre(generator, places)
    return distance / generator.uniform(0.14, 0.2) + angle * (5 / (2 * math.pi))


def _waves(generator: Generator, places: Places) -> Places:
    angle = generator.uniform(0, math.pi)
    across = math.cos(angle) * places[:, 0] + math.sin(angle) * places[:, 1]
    along = math.cos(angle) * places[:, 1] - math.sin(angle) * places[:, 0]
    height, turns = generator.uniform(0.04, 0.1), 2 * math.pi / generator.uniform(0.4, 0.9)
    return (across + height * np.sin(turns * along)) / generator.uniform(0.13, 0.2)


def _diamonds(generator: Generator, places: Places) -> Places:
    away = np.abs(places - generator.uniform(0.25, 0.75, 2))
    return (away[:, 0] + generator.uniform(0.5, 1.6) * away[:, 1]) / generator.uniform(0.14, 0.22)


_PATTERNS: tuple[Callable[[Generator, Places], Places], ...] = (
    _rings,
    _rays,
    _spiral,
    _waves,
    _diamonds,
)
