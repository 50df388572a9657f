"""Clouds: heaps of vapour with flat bases, lit by a sun, before a sky of any hour."""

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
    shine,
)
from recipes.demo.edges import smoothstep
from recipes.demo.oklab import Colours
from recipes.demo.palettes import Ramp, choose, colour, mix
from recipes.demo.waves import WaveField

# Sky from the top down, then a cloud's shadow, body and lit side.
_PALETTES = (
    "1f5fae 5f9fdc bfe0f5 8fa6c4 dbe6f2 ffffff",
    "0f4c9c 3d8ad6 a5d8f7 7f9ccb d3e3f6 ffffff",
    "2b2f6b c65d7b ffc38a 6b4a7d e58f86 ffe9bf",
    "3a3f87 f08a75 ffd9a0 865a8a f3a78f fff1cf",
    "16324f 4f7f95 d9c9a5 4b5a6b a3a39b f4e3c0",
    "3b4a5e 6c7f93 b9c6cf 4d5766 8f9ba8 e6ebee",
    "5b4b9a b58fd0 ffd3dd 8271b3 d9b8dd fff3f1",
    "0b7a8f 57c0c0 e6f5d5 5f93a3 c4e2de ffffff",
    "0b1230 22306a 5a6aa8 262f5c 6a78ac dfe6fa",
    "a33b4b ee8456 ffdf8f 80405c d97b62 ffe3b0",
)


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    palette = choose(generator, _PALETTES, hue=0.08)
    sky, vapour = palette[:3], palette[3:]
    bend = generator.uniform(0.7, 1.3)
    planes = filled(side, Ramp(sky).at(whole.y**bend))
    light = generator.uniform(-2.6, -0.55)
    _sun(generator, planes, whole, palette[5])
    _veil(generator, planes, whole, vapour[2])
    ruffle = _Ruffle(generator, whole)
    for depth, base in _layers(generator):
        heaps = 1 + int(generator.integers(1, 3) * (1 + (1 - depth)))
        for _ in range(heaps):
            size = (0.10 + 0.26 * depth) * generator.uniform(0.75, 1.35)
            middle = generator.uniform(-0.1, 1.1), base + generator.normal(0, 0.03)
            haze = 0.55 * (1 - depth)
            stops = np.stack([mix(stop, sky[2], haze) for stop in vapour])
            cloud = _Cloud(generator, middle=middle, size=size, light=light)
            cloud.paint(planes, ruffle, stops)
    return finish(planes)


def _layers(generator: Generator) -> list[tuple[float, float]]:
    """How near each layer is, 0 to 1, and where its bases are; far ones come first.

    Where near ones are lower, one looks down on the clouds.
    """
    count = int(generator.integers(2, 5))
    lowest, highest = generator.uniform(0.55, 1.0), generator.uniform(0.3, 1.0)
    depths = [(place + 1) / count for place in range(count)]
    return [(depth, lowest + (highest - lowest) * depth) for depth in depths]


def _sun(generator: Generator, planes: Planes, whole: Window, tint: Colour) -> None:
    x, y = generator.uniform(0, 1), generator.uniform(-0.1, 0.7)
    distance = np.hypot(whole.x - x, whole.y - y)
    strength = generator.uniform(0.1, 0.55)
    shine(planes, whole, mix(tint, colour("fff4d0"), 0.5), strength * np.exp(distance * -4.5))


def _veil(generator: Generator, planes: Planes, whole: Window, tint: Colour) -> None:
    """Thin, high streaks."""
    field = WaveField.draw(generator, longest=0.8, shortest=0.06, falloff=1.9)
    lean = generator.uniform(-0.25, 0.25)
    streaks = field.at(0.4 * whole.x, 1.5 * whole.y + lean)
    strength = generator.uniform(0.0, 0.6)
    paint(planes, whole, tint, strength * smoothstep(-0.1, 2.2, streaks))


class _Ruffle:
    """What makes round heaps fluffy: every pixel looks at a place a little beside its own.

    ``x`` and ``y`` are those places, (side, side), at most ``reach`` away.
    """

    def __init__(self, generator: Generator, whole: Window) -> None:
        amount = generator.uniform(0.006, 0.011)
        right, down = (
            WaveField.draw(generator, longest=0.16, shortest=0.032, falloff=1.5).at(
                whole.x, whole.y
            )
            for _ in range(2)
        )
        self.x = whole.x + amount * np.clip(right, -3, 3)
        self.y = whole.y + amount * np.clip(down, -3, 3)
        self.reach = 3 * amount


class _Cloud:
    """Round puffs heaped on a base, thick in its middle."""

    def __init__(
        self, generator: Generator, *, middle: tuple[float, float], size: float, light: float
    ) -> None:
        self._x, self._base = middle
        self._size = size
        self._sun = math.cos(light), math.sin(light)
        count = int(generator.integers(14, 24))
        across = generator.uniform(-1, 1, count)
        heap = 1 - np.abs(across) ** generator.uniform(1.2, 2.2)
        up = heap * generator.uniform(0.05, 1, count) * generator.uniform(0.55, 0.95)
        radii = (0.16 + 0.22 * heap) * generator.uniform(0.7, 1.2, count)
        width = generator.uniform(0.85, 1.5)
        xs, ys = middle[0] + size * width * across, middle[1] - size * up
        self._puffs = np.stack([xs, ys, size * radii], axis=1).tolist()
        self._reach = width + 0.5

    def paint(self, planes: Planes, ruffle: _Ruffle, stops: Colours) -> None:
        """Lay the cloud over the picture; ``stops`` are its shadow, body and lit side, (3, 3)."""
        side, size, base = planes.shape[1], self._size, self._base
        window = Window.between(
            side,
            (self._x - self._reach * size, base - 1.6 * size),
            (self._x + self._reach * size, base + 0.3 * size),
        )
        mass, lit = (window.of(plane) for plane in self._heap(ruffle, side))
        below = (window.of(ruffle.y) - base) / size
        opacity = smoothstep(0.015, 0.2, mass) * (1 - smoothstep(0.04, 0.2, below))
        facing = lit / np.maximum(mass, np.float32(1e-3))
        tone = 0.42 + 0.34 * facing - 0.27 * below
        paint(planes, window, Ramp(stops).at(tone), opacity)

    def _heap(self, ruffle: _Ruffle, side: int) -> tuple[Plane, Plane]:
        """How much vapour there is at each pixel, and that times how much it faces the sun."""
        mass, lit = np.zeros((2, side, side), np.float32)
        for x, y, radius in self._puffs:
            window = Window.around(side, x, y, radius + ruffle.reach)
            right = (window.of(ruffle.x) - x) / radius
            below = (window.of(ruffle.y) - y) / radius
            puff = np.maximum(1 - right * right - below * below, 0)
            puff *= puff
            window.of(mass)[...] += puff
            window.of(lit)[...] += puff * (right * self._sun[0] + below * self._sun[1])
        return mass, lit
