"""Bricks: a wall in one of the bonds that masons lay, with mortar between."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recipes.demo.canvas import Generator, Picture, Plane, Planes, Window, filled, finish, paint
from recipes.demo.edges import coverage
from recipes.demo.light import uneven_light
from recipes.demo.palettes import Ramp, choose
from recipes.demo.waves import WaveField

# Bricks from the first to the last burnt, then the mortar.
_PALETTES = (
    "8c3b2a a94f38 bf6a4c 7a3328 cfc4b4",
    "6f2c24 93402f b55a3f a34a35 8d8478",
    "b5532f cf6f42 e08e5d c2613a efe6d6",
    "c9a36a d9b981 e5cc9c bd9257 f1e8d4",
    "5c5350 766b66 8f827b 4b4442 b9b2aa",
    "dcd7cf ebe7e0 f5f2ed d0cac0 b5aea4",
    "4a2f2a 6b4238 8a5748 38221f 2a2322",
    "7d4a52 9a6068 b57c80 6a3d46 e2d6cf",
    "34506b 466a88 6286a2 2a415a c9d3da",
    "50684a 67825e 839c77 415640 d8dccb",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Course:
    """A row of a bond: its bricks' lengths, which repeat, and where the first begins."""

    lengths: tuple[float, ...]
    start: float = 0.0


# In lengths of a stretcher, a brick that is laid along the wall; a header shows its end and is half as long.
_HALF = (_Course(lengths=(1.0,)), _Course(lengths=(1.0,), start=0.5))
_THIRDS = tuple(_Course(lengths=(1.0,), start=third / 3) for third in range(3))
_FLEMISH = (_Course(lengths=(1.0, 0.5)), _Course(lengths=(1.0, 0.5), start=0.75))
_ENGLISH = (_Course(lengths=(1.0,)), _Course(lengths=(0.5,), start=0.25))
_BONDS = (_HALF, _HALF, _THIRDS, _FLEMISH, _ENGLISH)

# Bricks are numbered modulo this, which is more than a picture has rows or columns.
_NUMBERS = 64


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    palette = choose(generator, _PALETTES, hue=0.1)
    wall = _Wall(generator, whole)
    planes = filled(side, palette[4])
    paint(planes, whole, _fired(generator, palette[:4], wall), coverage(wall.inside, side))
    weather = WaveField.draw(generator, longest=0.35, shortest=0.025, falloff=1.3)
    planes *= 1 + 0.035 * weather.at(whole.x, whole.y)
    planes *= uneven_light(generator, whole, 0.1)
    _shadow(generator, planes, whole)
    return finish(planes)


class _Wall:
    """Which brick each pixel shows, and where in it.

    ``number`` is the brick's, ``inside`` the distance to its edge, ``relief`` how much its rounded edge faces the
    light, -1 to 1.
    """

    def __init__(self, generator: Generator, whole: Window) -> None:
        bond = _BONDS[int(generator.integers(len(_BONDS)))]
        height = generator.uniform(0.075, 0.165)
        stretcher = generator.uniform(2.0, 3.0) * height
        mortar = height * generator.uniform(0.08, 0.16)
        angle = generator.normal(0, 0.05)
        x0, y0 = generator.uniform(0, 1, 2).tolist()
        x = math.cos(angle) * whole.x + math.sin(angle) * whole.y + x0
        y = math.cos(angle) * whole.y - math.sin(angle) * whole.x + y0
        row = np.floor(y / height)
        above = y - row * height
        column, left, length = _along(bond, row.astype(np.intp) % len(bond), x / stretcher)
        left *= stretcher
        right = length * stretcher - left
        self.number = (row.astype(np.intp) % _NUMBERS) * _NUMBERS + column % _NUMBERS
        edges = [distance - mortar / 2 for distance in (left, right, above, height - above)]
        self.inside = _rounded(edges, mortar * generator.uniform(0.4, 0.9))
        self.relief = _relief(edges, 0.12 * height, generator.uniform(-0.7, 0.7))


def _along(
    bond: tuple[_Course, ...], kind: NDArray[np.intp], x: Plane
) -> tuple[NDArray[np.intp], Plane, Plane]:
    """The bricks along their rows: number, distance to the left end, and length, in stretchers."""
    starts, firsts, periods = (
        np.array(values, np.float32)[kind]
        for values in (
            [course.start for course in bond],
            [course.lengths[0] for course in bond],
            [sum(course.lengths) for course in bond],
        )
    )
    shifted = x + starts
    turn = np.floor(shifted / periods)
    place = shifted - turn * periods
    is_second = place >= firsts
    left = np.where(is_second, place - firsts, place)
    length = np.where(is_second, periods - firsts, firsts)
    return 2 * turn.astype(np.intp) + is_second, left, length


def _rounded(edges: list[Plane], radius: float) -> Plane:
    """The distance to the edge of a box with round corners, from those to its four sides."""
    x = radius - np.minimum(edges[0], edges[1])
    y = radius - np.minimum(edges[2], edges[3])
    corner = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    return radius - corner - np.minimum(np.maximum(x, y), 0)


def _relief(edges: list[Plane], width: float, lean: float) -> Plane:
    left, right, top, bottom = (np.clip(1 - edge / width, 0, 1) for edge in edges)
    return top - bottom + lean * (left - right)


def _fired(generator: Generator, palette: Planes, wall: _Wall) -> Planes:
    """The bricks' colours, one tone a brick, with light on their edges."""
    spread = generator.uniform(0.5, 1.0)
    tones = 0.5 + spread * (generator.uniform(0, 1, (1, _NUMBERS * _NUMBERS)) - 0.5)
    table = Ramp(palette).at(tones.astype(np.float32))[:, 0]
    table *= generator.normal(1, 0.045, _NUMBERS * _NUMBERS).astype(np.float32)
    return np.take(table, wall.number, axis=1) * (1 + 0.16 * wall.relief)


def _shadow(generator: Generator, planes: Planes, whole: Window) -> None:
    """In half of the pictures, the soft shadow of something outside."""
    angle, place = generator.uniform(0, 2 * math.pi), generator.uniform(-0.3, 0.3)
    softness, strength = generator.uniform(0.01, 0.12), generator.uniform(0.15, 0.45)
    if generator.random() < 0.5:
        return
    across = (whole.x - 0.5) * math.cos(angle) + (whole.y - 0.5) * math.sin(angle) - place
    planes *= 1 - strength * np.clip(0.5 + across / softness, 0, 1)
