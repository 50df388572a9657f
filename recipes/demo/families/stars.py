"""Stars: faceted stars of all sizes, glowing on a night sky."""

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
from recipes.demo.oklab import Colours
from recipes.demo.palettes import Ramp, choose, colour, vary
from recipes.demo.placement import Disc, keep_apart
from recipes.demo.waves import WaveField

# The sky from the top down, then its nebula.
_SKIES = (
    "050a24 10205a 2f3f8f 6a4fc0",
    "080618 24104a 5a2a7a c04f9a",
    "03141f 0a3a4f 1f6f7f 3fb8a0",
    "0a0a12 1a1c30 34385a 7080b0",
    "120818 3a1030 7a2040 e07050",
    "06121a 12303a 2a5a50 80b070",
    "0a1030 2a3f8a 6a8fd0 f0b0c0",
)
# A star's dark and lit facets.
_STARS = (
    "b8781a ffe78a",
    "c89a2a fff6c8",
    "7f95b8 f7fbff",
    "c8607a ffd3d8",
    "3f9ab0 c8fbff",
    "8a6fd0 ecdfff",
    "c85a2a ffcf9a",
)
_POINTS = (5, 5, 5, 5, 4, 6, 8)
_WHITE: Colour = colour("ffffff")


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    planes = _sky(generator, whole)
    styles = [choose(generator, _STARS, hue=0.1) for _ in range(int(generator.integers(1, 4)))]
    largest = generator.uniform(0.13, 0.25)
    count = int(generator.integers(8, 22))
    radii = largest * np.exp(-generator.uniform(0.15, 1.9, count))
    discs = keep_apart(
        generator, [largest, *np.sort(radii)[::-1].tolist()], overlap=0.05, margin=0.2
    )
    kind = _Kind(generator)
    for disc in discs:
        style = styles[int(generator.integers(len(styles)))]
        kind.paint(generator, planes, disc, style)
    return finish(planes)


def _sky(generator: Generator, whole: Window) -> Planes:
    palette = choose(generator, _SKIES, hue=0.2)
    lean = generator.uniform(-0.4, 0.4)
    planes = filled(whole.side, Ramp(palette[:3]).at(whole.y + lean * (whole.x - 0.5)))
    nebula = WaveField.draw(generator, longest=0.9, shortest=0.07, falloff=2.0)
    mist = smoothstep(-0.3, 2.0, nebula.at(whole.x, whole.y))
    shine(planes, whole, palette[3], generator.uniform(0.2, 0.8) * mist)
    for x, y in generator.uniform(0, 1, (int(generator.integers(15, 40)), 2)).tolist():
        radius = generator.uniform(0.003, 0.007)
        window = Window.around(whole.side, x, y, 2 * radius)
        distance = np.hypot(window.x - x, window.y - y) / radius
        shine(planes, window, _WHITE, generator.uniform(0.3, 0.9) * np.exp(-(distance**2)))
    return planes


class _Kind:
    """The form that the stars of a picture share: their points, how deep the notches are, where light comes from."""

    def __init__(self, generator: Generator) -> None:
        points = _POINTS[int(generator.integers(len(_POINTS)))]
        notch = generator.uniform(0.38, 0.55) if points == 5 else generator.uniform(0.3, 0.5)
        self._points = points
        self._light = generator.uniform(-2.0, -0.7)
        self._turn = generator.uniform(0.0, 0.6)
        # The edge from a tip, at (1, 0), to the notch beside it, and the way out of the star across it.
        right = notch * math.cos(math.pi / points) - 1
        down = notch * math.sin(math.pi / points)
        self._out = down / math.hypot(right, down), -right / math.hypot(right, down)

    def paint(self, generator: Generator, planes: Planes, disc: Disc, style: Colours) -> None:
        """Lay a star of radius ``disc.radius``, and its glow, over the picture."""
        side = planes.shape[1]
        upright = -math.pi / 2 + generator.uniform(-self._turn, self._turn)
        style = vary(generator, style, hue=0.06)
        window = Window.around(side, disc.x, disc.y, 2.0 * disc.radius)
        distance = np.hypot(window.x - disc.x, window.y - disc.y) / disc.radius
        glow = np.maximum(1 - distance / 2.0, 0)
        shine(planes, window, style[1], generator.uniform(0.25, 0.6) * glow * glow * glow)
        window = Window.around(side, disc.x, disc.y, disc.radius + 1 / side)
        x, y = window.x - disc.x, window.y - disc.y
        tone, inside = self._facets(np.hypot(x, y), np.arctan2(y, x) - upright, disc.radius, side)
        lit = 0.5 + 0.5 * self._shaded(tone, upright)
        paint(planes, window, Ramp(style).at(lit), coverage(inside, side))

    def _facets(
        self, distance: Plane, angle: Plane, radius: float, side: int
    ) -> tuple[Plane, Plane]:
        """Where each pixel is among the facets, and how far within the star.

        The first is a facet's number; on the ridge between two, where pixels show both, it is between theirs.
        """
        step = math.pi / self._points
        place = angle / step
        number = np.floor(place)
        from_ridge = place - np.rint(place)
        folded = np.abs(place - 2 * np.rint(place / 2)) * step
        right, down = self._out
        inside = -((distance * np.cos(folded) - radius) * right + distance * np.sin(folded) * down)
        # Half a pixel to each side of a ridge.
        share = np.clip(0.5 - distance * np.sin(np.abs(from_ridge) * step) * side, 0, 0.5)
        return number - np.sign(from_ridge) * share, inside

    def _shaded(self, facet: Plane, upright: float) -> Plane:
        """How much each facet faces the light, -1 to 1."""
        step = math.pi / self._points
        numbers = np.arange(-2 * self._points - 1, 2 * self._points + 2)
        tips = (numbers + numbers % 2) * step
        lean = math.atan2(self._out[1], self._out[0])
        normals = upright + tips + np.where(numbers % 2, -lean, lean)
        return np.interp(facet, numbers, np.cos(normals - self._light)).astype(np.float32)
