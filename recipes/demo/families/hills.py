"""Hills: ranges behind one another, paler the farther they are, under a sky with a sun or a moon."""

from dataclasses import dataclass

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
from recipes.demo.edges import coverage, smoothstep
from recipes.demo.palettes import Ramp, choose, mix
from recipes.demo.waves import wave_line

# The sky from the top down, the sun, then the hills from the farthest to the nearest.
_PALETTES = (
    "4f9bd9 a9d6ee eaf5ee fffbe0 a9cdbd 5f9f6a 2f6b35 1c4a24",
    "2f2a5f b0567f ffb27a fff0b8 c4768a 7d4a7a 43305f 201a3f",
    "f6a56b fbd0a0 fdeed0 fff8ea e0a07f b06a5a 74424a 3f2433",
    "8fb3c8 c8dbe2 f0f3ef ffffff a8c0c8 6f8f9a 41626e 203a45",
    "0c1430 26386b 5f78a8 f4f4e4 4a6090 2f4270 1c2a50 0c1430",
    "7fc4c0 c4e6d0 fbf3cf fffbe8 c9d39a 8fae5f 4f7f3f 265030",
    "d98f3f f0c67a fbe8b8 fffae0 d8a860 b07838 7a4a24 452a1a",
    "5a4f9a a58fd0 f3cfe0 fff3f3 a896cc 6f62a8 443c80 262255",
    "c0455a ee7f5f ffd07f fff2c0 d8636a 9a3a5a 5f2450 2f1438",
    "6fa8b8 b8d8d0 f5e8c8 fff7dc d8b878 c08848 8f5f30 4f3a20",
)


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    palette = choose(generator, _PALETTES, hue=0.12)
    horizon = generator.uniform(0.3, 0.55)
    planes = filled(side, Ramp(palette[:3]).at(whole.y / (horizon + 0.1)))
    _sun(generator, planes, palette[3], horizon)
    count = int(generator.integers(4, 8))
    light = -1.0 if generator.random() < 0.5 else 1.0
    for place in range(count):
        near = place / (count - 1)
        ground = Ramp(palette[4:]).at(np.full((1, 1), near, np.float32))[:, 0, 0]
        hill = _Hill(generator, whole, near=near, horizon=horizon)
        hill.paint(planes, ground, mist=mix(ground, palette[2], 0.65), light=light)
        if near > 0.3 and generator.random() < 0.45:
            hill.plant(generator, planes, mix(ground, palette[7], 0.6))
    return finish(planes)


def _sun(generator: Generator, planes: Planes, tint: Colour, horizon: float) -> None:
    side = planes.shape[1]
    x, y = generator.uniform(0.1, 0.9), generator.uniform(0.12, horizon)
    radius = generator.uniform(0.035, 0.11)
    whole = Window.whole(side)
    distance = np.hypot(whole.x - x, whole.y - y)
    glow = np.exp((distance - radius) * -5)
    shine(planes, whole, tint, generator.uniform(0.15, 0.5) * np.minimum(glow, 1))
    paint(planes, whole, tint, 0.96 * coverage(radius - distance, side))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ground:
    """Rows of a hill's picture, how far below the ridge their pixels are, and how the ridge falls there."""

    window: Window
    below: Plane
    slope: Plane


class _Hill:
    """A range of hills: all that is below its ridge."""

    def __init__(self, generator: Generator, whole: Window, *, near: float, horizon: float) -> None:
        self._near = near
        self._side = whole.side
        height = generator.uniform(0.022, 0.045) * (1 + 0.8 * near)
        longest = generator.uniform(0.5, 0.9) + 0.5 * near
        line, slope = wave_line(
            generator, whole.x, longest=longest, shortest=0.22 * longest, falloff=2.2
        )
        base = horizon + (0.9 - horizon) * near**1.15 + generator.normal(0, 0.015)
        self._ridge, self._slope = base + height * line, height * slope

    def paint(self, planes: Planes, ground: Colour, *, mist: Colour, light: float) -> None:
        """Lay the hills over the picture: lit on one side, in mist at their feet."""
        part = self._ground()
        lit = np.clip(light * part.slope, -0.5, 0.5) * np.exp(part.below * -11)
        feet = (0.85 - 0.6 * self._near) * smoothstep(0.0, 0.3, part.below)
        colours = ground[:, None, None] * (1 + 0.6 * lit)
        colours += (mist[:, None, None] - colours) * feet
        steep = np.sqrt(1 + part.slope * part.slope)
        paint(planes, part.window, colours, coverage(part.below / steep, self._side))

    def plant(self, generator: Generator, planes: Planes, leaves: Colour) -> None:
        """Put trees on the ridge, in loose groups."""
        size = generator.uniform(0.03, 0.05) * (0.5 + self._near)
        slender = generator.uniform(0.3, 0.75)
        middle = generator.uniform(0.1, 0.9)
        for _ in range(int(generator.integers(4, 12))):
            x = middle + generator.normal(0, 0.16)
            height = size * generator.uniform(0.7, 1.3)
            column = min(max(int(x * self._side), 0), self._side - 1)
            foot = float(self._ridge[0, column])
            window = Window.around(self._side, x, foot - height, 1.3 * height)
            right, down = (window.x - x) / slender, window.y - (foot - 0.9 * height)
            # Narrower towards the top.
            right = right * (1 - 0.45 * np.clip(down / height, -1, 0))
            inside = (height - np.hypot(right, down)) * slender
            paint(planes, window, leaves, coverage(inside, self._side))

    def _ground(self) -> _Ground:
        top = float(self._ridge.min()) - 2 / self._side
        window = Window.between(self._side, (0, top), (1, 1))
        return _Ground(window=window, below=window.y - self._ridge, slope=self._slope)
