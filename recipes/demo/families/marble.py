"""Marble: polished stone, clouded and crossed by veins."""

import math

import numpy as np

from recipes.demo.canvas import (
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
from recipes.demo.edges import smoothstep, steepness
from recipes.demo.palettes import Ramp, choose, colour
from recipes.demo.waves import WaveField

# The stone from its dark to its light parts, then main and fine veins.
_PALETTES = (
    "b9bcc2 e3e4e6 f7f6f4 5f666f 9aa0a8",
    "d8cdbd efe7da fbf8f1 a8824e c9a878",
    "0e1013 1d2126 32383f d8b25c f0ead8",
    "0b2a22 14463a 2b6b58 d9e6d2 7fb59b",
    "e0b3ac f0d2cb faece6 9b4a4a c77f78",
    "12233f 234374 4470a8 dfe8f2 b79a5a",
    "6b1f22 8e3330 b4594e f1dcc9 3c1012",
    "5a4632 8a6f50 b59a78 2e2014 ead9bd",
    "3a3f4a 5b6270 868e9c e9ebef 20242c",
    "8fb8b0 c3dcd5 e8f3ef 3f6f6b 7aa39c",
    "3d2350 63407c 9673ad e9d9ef c9a24b",
)


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    palette = choose(generator, _PALETTES)
    stone = _Stone(generator, whole)
    planes = filled(side, Ramp(palette[:3]).at(stone.clouding(generator)))
    fine = stone.veins(
        spacing=generator.uniform(0.25, 0.45),
        turn=generator.normal(0, 0.9),
        width=generator.uniform(0.0025, 0.0045),
        phase=generator.uniform(0, 1),
    )
    paint(planes, whole, palette[4], 0.7 * fine)
    spacing, turn = generator.uniform(0.3, 0.6), generator.normal(0, 0.12)
    phase, width = generator.uniform(0, 1), generator.uniform(0.006, 0.012)
    main = stone.veins(spacing=spacing, turn=turn, width=width, phase=phase)
    # A second set at almost the same places meets the first and parts from it.
    braid = stone.veins(
        spacing=1.12 * spacing, turn=turn + 0.2, width=0.45 * width, phase=phase + 0.1
    )
    paint(planes, whole, palette[3], np.maximum(0.95 * main, 0.75 * braid))
    _polish(generator, planes, whole)
    return finish(planes)


class _Stone:
    """Layers in one direction, stirred while they were soft."""

    def __init__(self, generator: Generator, whole: Window) -> None:
        self._whole = whole
        self._angle = generator.uniform(0, math.pi)
        self._stirred = generator.uniform(0.04, 0.1)
        self._eddies, self._strength = (
            WaveField.draw(generator, longest=longest, shortest=shortest, falloff=2.3).at(
                whole.x, whole.y
            )
            for longest, shortest in ((0.9, 0.09), (1.0, 0.2))
        )

    def clouding(self, generator: Generator) -> Plane:
        """How light the stone is, about 0 to 1."""
        blots = WaveField.draw(generator, longest=1.2, shortest=0.08)
        across = self._across(0.0) / generator.uniform(0.5, 1.0)
        layers = np.sin(2 * math.pi * (across + generator.uniform(0, 1)))
        return 0.5 + 0.15 * blots.at(self._whole.x, self._whole.y) + 0.19 * layers

    def veins(self, *, spacing: float, turn: float, width: float, phase: float) -> Plane:
        """How much of a vein each pixel shows, 0 to 1.

        Args:
            spacing: From one vein to the next.
            turn: Their angle to the stone's layers, in radians.
            width: Half of it, where a vein is neither strong nor weak.
            phase: Where the first is, in spacings.
        """
        place = self._across(turn) / spacing + phase
        slope = np.maximum(steepness(place), np.float32(0.3 / spacing))
        distance = np.abs(place - np.rint(place)) / slope
        half = width * np.clip(0.8 + 0.7 * self._strength, 0.25, 2.5)
        core = 1 - smoothstep(0.5, 1.1, distance / half)
        halo = np.maximum(1 - distance / (9 * half), 0)
        return (0.7 * core + 0.3 * halo * halo) * smoothstep(-1.3, 0.2, self._strength)

    def _across(self, turn: float) -> Plane:
        angle = self._angle + turn
        x, y = self._whole.x - 0.5, self._whole.y - 0.5
        return math.cos(angle) * x + math.sin(angle) * y + self._stirred * self._eddies


def _polish(generator: Generator, planes: Planes, whole: Window) -> None:
    """A broad reflection."""
    angle = generator.uniform(0, 2 * math.pi)
    across = (whole.x - 0.5) * math.cos(angle) + (whole.y - 0.5) * math.sin(angle)
    away = (across - generator.uniform(-0.5, 0.5)) / generator.uniform(0.15, 0.4)
    strength = generator.uniform(0.0, 0.16)
    shine(planes, whole, colour("ffffff"), strength * np.exp(-(away * away)))
