"""Neon: glowing glass tubes, bent into signs, on a dark wall and sometimes above a wet floor."""

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from recipes.demo.canvas import Colour, Generator, Picture, Plane, Planes, Window, finish
from recipes.demo.edges import coverage, distance_to_lines
from recipes.demo.palettes import Ramp, choose, colour, mix, vary
from recipes.demo.placement import Disc, keep_apart

Line = NDArray[np.float32]

_WALLS = ("05060c 0d1022", "08050e 1a0d26", "040a0c 0b1e24", "0a0606 221014", "060606 16161a")
_GASES = ("ff2f6e", "ff5a1f", "ffd02f", "3dff7a", "2fe6ff", "4f6bff", "b34dff", "ff4fd8", "ffb98a")
# Glows are soft, so they are spread at this size whatever the picture's.
_GLOW_SIDE = 128
# The spread of each part of the glow, in picture sides, and its strength.
_GLOWS = ((0.012, 1.3), (0.04, 1.7), (0.13, 2.6))


def draw(generator: Generator, side: int) -> Picture:
    """One picture, (side, side, 3) RGB."""
    whole = Window.whole(side)
    wall = choose(generator, _WALLS, hue=0.4)
    lean = generator.uniform(-0.4, 0.4)
    planes = np.broadcast_to(Ramp(wall).at(whole.y + lean * (whole.x - 0.5)), (3, side, side))
    tube = generator.uniform(0.009, 0.015)
    has_floor = generator.random() < 0.35
    horizon = generator.integers(24, 28) / 32 if has_floor else 1.0
    signs = _signs(generator, horizon)
    gases = generator.permutation(len(_GASES))[: int(generator.integers(1, 4))]
    light = np.zeros((3, side, side), np.float32)
    for place, number in enumerate(gases.tolist()):
        lines = [line for sign in signs[place :: len(gases)] for line in sign]
        gas = vary(generator, colour(_GASES[number])[None], hue=0.12)[0]
        _burn(light, lines, gas, tube)
    if has_floor:
        _mirror(light, horizon)
    # Light adds up, and what shows of it saturates.
    return finish(1 - (1 - planes) * np.exp(-light))


def _signs(generator: Generator, horizon: float) -> list[list[Line]]:
    """Each a sign's lines, in the picture's places, all above the horizon."""
    largest = generator.uniform(0.18, 0.33)
    count = int(generator.integers(2, 7))
    radii = largest * np.exp(-generator.uniform(0.1, 1.0, count))
    discs = keep_apart(
        generator, [largest, *np.sort(radii)[::-1].tolist()], overlap=0.12, margin=-1.0
    )
    top = np.array([(1 - horizon) / 2, 0], np.float32)
    return [
        [horizon * line + top for line in lines]
        for disc in discs
        for lines in _sign(generator, disc)
    ]


def _sign(generator: Generator, disc: Disc) -> list[list[Line]]:
    """A sign, and within a large one of closed tubes maybe another of its form."""
    form = _FORMS[int(generator.integers(len(_FORMS)))]
    turn = generator.normal(0, 0.25)
    lines = form(generator)
    nested = generator.random() < 0.5 and disc.radius > 0.16 and form in _CLOSED
    scales = (0.92, 0.62) if nested else (0.92,)
    turned = np.array(
        [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]], np.float32
    )
    middle = np.array([disc.x, disc.y], np.float32)
    return [[middle + disc.radius * scale * line @ turned for line in lines] for scale in scales]


def _burn(light: Planes, lines: list[Line], gas: Colour, tube: float) -> None:
    """Add the light of tubes that share a gas, and of the air and wall around them."""
    if not lines:
        return
    side = light.shape[1]
    distance = distance_to_lines(side, lines, 1.5 * tube + 2 / side)
    glass = coverage(tube - distance, side)
    core = np.clip(1 - (distance / (0.75 * tube)) ** 2, 0, 1)
    light += gas[:, None, None] * (0.9 * _glow(glass) + 1.8 * glass)
    light += mix(gas, colour("ffffff"), 0.7)[:, None, None] * (2.2 * core)


def _glow(glass: Plane) -> Plane:
    side = glass.shape[0]
    small = cv2.resize(glass, (_GLOW_SIDE, _GLOW_SIDE), interpolation=cv2.INTER_AREA)
    glow = np.zeros_like(small)
    for spread, strength in _GLOWS:
        glow += strength * cv2.GaussianBlur(
            small, (0, 0), spread * _GLOW_SIDE, borderType=cv2.BORDER_CONSTANT
        )
    return cv2.resize(glow, (side, side), interpolation=cv2.INTER_CUBIC)


def _mirror(light: Planes, horizon: float) -> None:
    """Turn what is below the horizon into a wet floor."""
    side = light.shape[1]
    row = round(horizon * side)
    below = light[:, 2 * row - side : row][:, ::-1].copy()
    fade = np.linspace(0.55, 0.2, side - row, dtype=np.float32)[:, None]
    for channel, seen in enumerate(below):
        spread = cv2.GaussianBlur(seen, (0, 0), 0.012 * side, sigmaY=0.03 * side)
        light[channel, row:] = spread * fade


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> Line:
    return np.stack([x, y], axis=1).astype(np.float32)


def _polygon(corners: int, start: float) -> Line:
    angles = start + np.linspace(0, 2 * np.pi, corners + 1)
    return _points(np.cos(angles), np.sin(angles))


def _circle(_: Generator) -> list[Line]:
    return [_polygon(72, 0)]


def _triangle(_: Generator) -> list[Line]:
    return [_polygon(3, -math.pi / 2)]


def _square(_: Generator) -> list[Line]:
    return [_polygon(4, math.pi / 4)]


def _hexagon(_: Generator) -> list[Line]:
    return [_polygon(6, 0)]


def _heart(_: Generator) -> list[Line]:
    t = np.linspace(0, 2 * np.pi, 65)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [_points(x / 17, -(y + 2.5) / 17)]


def _flower(generator: Generator) -> list[Line]:
    t = np.linspace(0, 2 * np.pi, 121)
    radii = 0.55 + 0.45 * np.abs(np.cos(int(generator.integers(4, 8)) / 2 * t))
    return [_points(radii * np.cos(t), radii * np.sin(t))]


def _bolt(_: Generator) -> list[Line]:
    x = np.array([0.25, -0.45, 0.0, -0.3, 0.5, 0.05, 0.25])
    y = np.array([-1.0, 0.15, 0.15, 1.0, -0.25, -0.25, -1.0])
    return [_points(x, y)]


def _waves(generator: Generator) -> list[Line]:
    x = np.linspace(-1, 1, 41)
    turns = generator.uniform(1.2, 2.4) * np.pi
    return [_points(x, 0.16 * np.sin(turns * x) + shift) for shift in (-0.42, 0.0, 0.42)]


def _spiral(generator: Generator) -> list[Line]:
    share = np.linspace(0, 1, 90)
    angles = generator.uniform(4.5, 6.5) * np.pi * share
    radii = 0.1 + 0.9 * share
    return [_points(radii * np.cos(angles), radii * np.sin(angles))]


def _crescent(_: Generator) -> list[Line]:
    outer = np.linspace(0.75, 2 * np.pi - 0.75, 48)
    tip = math.sin(0.75)
    inner_angle = math.asin(tip / 0.8)
    inner = np.linspace(2 * np.pi - inner_angle, inner_angle, 40)
    shift = math.cos(0.75) - 0.8 * math.cos(inner_angle)
    x = np.concatenate([np.cos(outer), 0.8 * np.cos(inner) + shift])
    y = np.concatenate([np.sin(outer), 0.8 * np.sin(inner)])
    return [_points(np.append(x, x[0]), np.append(y, y[0]))]


def _arrow(_: Generator) -> list[Line]:
    return [
        _points(np.array([-1.0, 1.0]), np.array([0.0, 0.0])),
        _points(np.array([0.4, 1.0, 0.4]), np.array([-0.5, 0.0, 0.5])),
    ]


def _loop(_: Generator) -> list[Line]:
    t = np.linspace(0, 2 * np.pi, 73)
    width = 1 / (1 + np.sin(t) ** 2)
    return [_points(np.cos(t) * width, 1.2 * np.sin(t) * np.cos(t) * width)]


Form = Callable[[Generator], list[Line]]
_CLOSED: tuple[Form, ...] = (_circle, _triangle, _square, _hexagon, _heart, _flower)
_FORMS: tuple[Form, ...] = (*_CLOSED, _bolt, _waves, _spiral, _crescent, _arrow, _loop)
