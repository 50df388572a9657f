"""Bubbles: clear spheres with iridescent rims and bright reflections, floating before soft light."""

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
from recipes.demo.edges import coverage, smoothstep
from recipes.demo.palettes import Ramp, choose, colour, colours, vary
from recipes.demo.placement import Disc, keep_apart
from recipes.demo.waves import WaveField

# From one side of the background to the other.
_PALETTES = (
    "0b2a6b 1f6fc4 7fd0ee",
    "06373f 0f7f86 8fe0c8",
    "2a0f52 7a2f9e ee8fc0",
    "51163a c8466a ffc09a",
    "10203a 2d4c78 8aa4c8",
    "0d4a3a 3f9a5a d8ec9a",
    "3a1f6b 5a5fd0 a8e0f5",
    "7a3a1a e08a3a ffe39a",
    "a8d8f0 d8ecf8 f8e8f0",
    "f0b8c8 f8d8d0 f8f0d8",
)
# Around a soap film's interference colours, once.
_FILM = "ff7fc8 ffd36b 8dffb0 5fd8ff a58bff ff7fc8"
_WHITE: Colour = colour("ffffff")
_DEEP: Colour = colour("101a3a")


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    planes = _background(generator, whole)
    film = Ramp(vary(generator, colours(_FILM), hue=0.3))
    swirl = WaveField.draw(generator, longest=0.8, shortest=0.1).at(whole.x, whole.y)
    largest = generator.uniform(0.16, 0.3)
    count = int(generator.integers(9, 26))
    radii = largest * np.exp(-generator.uniform(0, 2.0, count - 1))
    light = generator.uniform(-2.6, -1.9)
    discs = keep_apart(
        generator, [largest, *np.sort(radii)[::-1].tolist()], overlap=0.3, margin=0.3
    )
    for disc in reversed(discs):
        _Bubble(generator, disc, light=light).paint(planes, whole, swirl, film)
    return finish(planes)


def _background(generator: Generator, whole: Window) -> Planes:
    stops = choose(generator, _PALETTES, hue=0.25)
    angle = generator.uniform(0, 2 * math.pi)
    across = (whole.x - 0.5) * math.cos(angle) + (whole.y - 0.5) * math.sin(angle)
    field = WaveField.draw(generator, longest=1.6, shortest=0.4).at(whole.x, whole.y)
    planes = filled(whole.side, Ramp(stops).at(0.5 + 0.75 * across + 0.12 * field))
    for _ in range(int(generator.integers(4, 12))):
        x, y = generator.uniform(0, 1, 2).tolist()
        radius = generator.uniform(0.03, 0.13)
        window = Window.around(whole.side, x, y, 1.3 * radius)
        distance = np.hypot(window.x - x, window.y - y) / radius
        strength = generator.uniform(0.04, 0.14)
        shine(planes, window, stops[2], strength * (1 - smoothstep(0.75, 1.25, distance)))
    return planes


class _Bubble:
    """One sphere."""

    def __init__(self, generator: Generator, disc: Disc, *, light: float) -> None:
        self._disc = disc
        self._light = light
        self._phase = generator.uniform(0, 1)
        self._rings = generator.uniform(0.5, 1.1)
        self._opacity = generator.uniform(0.65, 0.95)

    def paint(self, planes: Planes, whole: Window, swirl: Plane, film: Ramp) -> None:
        """Lay the bubble over the picture."""
        disc = self._disc
        window = Window.around(whole.side, disc.x, disc.y, disc.radius + 1 / whole.side)
        x, y = (window.x - disc.x) / disc.radius, (window.y - disc.y) / disc.radius
        square = x * x + y * y
        distance = np.sqrt(square)
        edge = coverage((1 - distance) * disc.radius, whole.side)
        phase = self._phase + self._rings * square + 0.13 * window.of(swirl) + 0.16 * (x + y)
        rim = 0.07 + 0.93 * smoothstep(0.5, 1.0, distance) ** 2
        shimmer = film.at(phase - np.floor(phase))
        # Clear in the middle, where one looks straight through; a dark line within the rim sets it off.
        paint(planes, window, _DEEP, 0.22 * edge * smoothstep(0.2, 0.9, distance))
        paint(planes, window, shimmer, self._opacity * edge * rim)
        self._reflections(planes, window, edge, (x, y))

    def _reflections(
        self, planes: Planes, window: Window, edge: Plane, place: tuple[Plane, Plane]
    ) -> None:
        """The window's bright arc on the side of the light, its faint image on the other, a spot beside."""
        x, y = place
        toward, aside = math.cos(self._light), math.sin(self._light)
        along, across = x * toward + y * aside, y * toward - x * aside
        distance = np.hypot(along, across)
        arc = _bump((distance - 0.76) / 0.13) * _bump(across / 0.5) * (along > 0)
        image = _bump((distance - 0.8) / 0.1) * _bump(across / 0.36) * (along < 0)
        spot = _bump(np.hypot(along - 0.42, across + 0.42) / 0.11)
        shine(planes, window, _WHITE, edge * (0.92 * arc + 0.45 * image + 0.85 * spot))


def _bump(values: Plane) -> Plane:
    """1 in the middle, with a flat top and soft sides, 0 from -1 and 1 outwards."""
    return smoothstep(0.0, 0.55, 1 - np.abs(values))
