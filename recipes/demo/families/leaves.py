"""Leaves: foliage in layers, or twigs on a plain ground, each leaf with its veins and its shadow."""

import math

import numpy as np

from recipes.demo.canvas import (
    Colour,
    Generator,
    Picture,
    Plane,
    Planes,
    Window,
    filled,
    finish,
    paint,
)
from recipes.demo.edges import coverage, distance_to_lines, smoothstep
from recipes.demo.light import uneven_light
from recipes.demo.oklab import Colours
from recipes.demo.palettes import Ramp, choose, mix
from recipes.demo.placement import keep_apart

# A dark ground, a light ground, then leaves from dark to light, then veins.
_PALETTES = (
    "0e2a16 eef3e2 1f5a2a 3f8a3a 86bf52 d8eca0",
    "0a2420 e6f2ee 12524a 2a8a72 7fcaa0 d6f5dc",
    "2a1408 fbf0dc 8a2f14 d0641f f2b23a ffe9a8",
    "2a0c10 fbe9e2 7a1420 c0353a ee7f5a ffd8b0",
    "1c1f0c f5f3dc 4f5a14 8a9a24 cfd25a f6f5b0",
    "101c2a e8eef5 24506a 4f88a0 a0c8cc e6f6f0",
    "1f0f26 f3e8f3 4f2458 8a4f8f cf96c0 f6dcef",
    "1a1408 f8f2e4 5f4514 a07a24 dcb85a fbeeb8",
    "06200f f0f5e6 0f4a20 1f7f33 4fb048 b8e68a",
)
_BLACK: Colour = np.zeros(3, np.float32)


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    palette = choose(generator, _PALETTES, hue=0.14)
    kind = _Kind(generator, side, palette[2:])
    if generator.random() < 0.6:
        planes = filled(side, mix(palette[0], palette[2], 0.25))
        _foliage(generator, planes, kind)
    else:
        planes = filled(side, palette[0] if generator.random() < 0.35 else palette[1])
        for _ in range(int(generator.integers(1, 4))):
            _twig(generator, planes, kind, mix(palette[2], palette[0], 0.4))
    planes *= uneven_light(generator, whole, 0.07)
    return finish(planes)


def _foliage(generator: Generator, planes: Planes, kind: "_Kind") -> None:
    """Leaves all over the picture, the higher the lighter."""
    length = generator.uniform(0.26, 0.42)
    count = round(4.6 / length**2)
    course = generator.uniform(0, 2 * math.pi)
    spread = generator.uniform(0.5, 2.5)
    discs = keep_apart(generator, [0.3 * length] * count, overlap=9.0, margin=1.0)
    generator.shuffle(discs)
    for place, disc in enumerate(discs):
        kind.paint(
            planes,
            stem=(disc.x, disc.y),
            angle=course + generator.normal(0, spread),
            length=length * generator.uniform(0.75, 1.25),
            tone=place / count + generator.normal(0, 0.14),
        )


def _twig(generator: Generator, planes: Planes, kind: "_Kind", bark: Colour) -> None:
    """A bent twig from edge to edge, with leaves in pairs and one at its end."""
    side = planes.shape[1]
    angle = generator.uniform(0, 2 * math.pi)
    off = generator.uniform(-0.3, 0.3)
    start = (
        0.5 - 0.62 * math.cos(angle) - off * math.sin(angle),
        0.5 - 0.62 * math.sin(angle) + off * math.cos(angle),
    )
    pairs = int(generator.integers(4, 8))
    bend = generator.uniform(-0.9, 0.9)
    angles = angle + bend * (np.arange(pairs + 1) / pairs - 0.5)
    step = generator.uniform(0.95, 1.1) / pairs
    xs = start[0] + step * np.concatenate([[0], np.cumsum(np.cos(angles))])
    ys = start[1] + step * np.concatenate([[0], np.cumsum(np.sin(angles))])
    line = np.stack([xs, ys], axis=1).astype(np.float32)
    thickness = generator.uniform(0.004, 0.007)
    distance = distance_to_lines(side, [line], 2 * thickness + 2 / side)
    paint(planes, Window.whole(side), bark, coverage(thickness - distance, side))
    length = step * generator.uniform(1.2, 1.7)
    open_angle = generator.uniform(0.6, 1.1)
    for joint in range(1, pairs + 1):
        for hand in (-1, 1):
            kind.paint(
                planes,
                stem=(float(xs[joint]), float(ys[joint])),
                angle=float(angles[joint]) + hand * (open_angle + generator.normal(0, 0.1)),
                length=length * (1.15 - 0.5 * joint / pairs) * generator.uniform(0.9, 1.1),
                tone=generator.uniform(0.1, 0.9),
            )
    kind.paint(
        planes,
        stem=(float(xs[-1]), float(ys[-1])),
        angle=float(angles[-1]),
        length=0.7 * length,
        tone=0.8,
    )


class _Kind:
    """The form and colours that the leaves of a picture share."""

    def __init__(self, generator: Generator, side: int, palette: Colours) -> None:
        self._generator = generator
        self._side = side
        self._tones, self._vein = Ramp(palette[:3]), palette[3]
        self._width = generator.uniform(0.16, 0.3)
        self._fullest = generator.uniform(0.1, 0.5)
        self._veins = int(generator.integers(4, 8))
        self._slant = generator.uniform(0.7, 1.5)
        # A leaf's halves are arcs of a circle, which meet at both ends.
        self._radius = (0.25 + self._width**2) / (2 * self._width)

    def paint(
        self,
        planes: Planes,
        *,
        stem: tuple[float, float],
        angle: float,
        length: float,
        tone: float,
    ) -> None:
        """Lay a leaf over the picture, from its stem in the direction of an angle.

        ``tone`` is 0 for a dark leaf and 1 for a light one.
        """
        side = self._side
        toward, aside = math.cos(angle), math.sin(angle)
        window = self._extent(stem, toward * length, aside * length)
        bend = self._generator.normal(0, 0.12)
        x, y = (window.x - stem[0]) / length, (window.y - stem[1]) / length
        along, across = x * toward + y * aside, y * toward - x * aside
        across += bend * along * (1 - along)
        shadow = self._inside(along, across - 0.05)
        paint(planes, window, _BLACK, 0.42 * smoothstep(-0.09, 0.09, shadow))
        colours = self._colours(along, across, length, tone)
        inside = self._inside(along, across) * length
        paint(planes, window, colours, coverage(inside, side))

    def _extent(self, stem: tuple[float, float], right: float, down: float) -> Window:
        """The pixels of a leaf with its bend and its shadow."""
        room = self._width + 0.1
        reach = 0.55 * abs(right) + room * abs(down), 0.55 * abs(down) + room * abs(right)
        x, y = stem[0] + 0.5 * right, stem[1] + 0.5 * down
        first, last = (x - reach[0], y - reach[1]), (x + reach[0], y + reach[1])
        return Window.between(self._side, first, last)

    def _inside(self, along: Plane, across: Plane) -> Plane:
        """The distance to the leaf's edge, in lengths of the leaf."""
        place = along + self._fullest * along * (1 - along)
        centre = self._radius - self._width
        return self._radius - np.hypot(place - 0.5, np.abs(across) + centre)

    def _colours(self, along: Plane, across: Plane, length: float, tone: float) -> Planes:
        """One half lighter than the other, and veins lighter than both."""
        scale = length * self._side
        half = np.clip(across * scale + 0.5, 0, 1) - 0.5
        curl = np.abs(across) / self._width
        level = 0.1 + 0.75 * min(max(tone, 0.0), 1.0) + 0.12 * half - 0.16 * curl + 0.12 * along
        planes = self._tones.at(level)
        thickness = 0.011 * (1.2 - along)
        midrib = np.clip((thickness - np.abs(across)) * scale + 0.5, 0, 1)
        rib = (along - self._slant * np.abs(across)) * self._veins
        off = np.abs(rib - np.rint(rib)) / (self._veins * math.hypot(1, self._slant))
        side_veins = np.clip((0.005 - off) * scale + 0.5, 0, 1) * (1 - 0.6 * curl)
        veins = np.maximum(0.75 * midrib, 0.35 * np.maximum(side_veins, 0))
        planes += (self._vein[:, None, None] - planes) * veins
        return planes
