"""Pictures that anyone can draw again: shaded grounds, shapes of all sizes, textures, noise, text, photographs.

Detail goes down to single pixels, so that a picture of 1024 px is not the same as its quarter enlarged. Each is drawn
from its seed alone. Training and held-out pictures have other seeds, and other photographs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Generator = np.random.Generator

TRAINING, HELD_OUT = "training", "held-out"
# Those in scikit-image's wheel: no others are fetched.
PHOTOGRAPHS = {
    TRAINING: ("astronaut", "rocket", "brick", "immunohistochemistry", "hubble_deep_field"),
    HELD_OUT: ("chelsea", "coffee", "gravel", "camera"),
}
# The longer side, by the shorter one.
_MAX_ASPECT = 1.25
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# zlib's fastest: the files live for one run.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def write_pictures(folder: str, side: int, counts: dict[str, int]) -> dict[str, object]:
    """Draw pictures into ``folder/training`` and ``folder/held-out``, as many as ``counts`` says by these names.

    The shorter side of each has ``side`` pixels or a little more.
    """
    for number, (name, photographs) in enumerate(PHOTOGRAPHS.items()):
        there = Path(folder) / name
        there.mkdir(parents=True)
        sources = [_photograph(photograph) for photograph in photographs]
        for place in range(counts[name]):
            picture = draw_picture(np.random.default_rng([number, place]), side, sources)
            cv2.imwrite(str(there / f"{place:04}.png"), picture, _PNG)
    return {}


def draw_picture(generator: Generator, side: int, photographs: Sequence[Picture]) -> Picture:
    """One picture (height, width, 3), both from ``side`` to 1.25 times that."""
    height, width = (int(n) for n in generator.integers(side, int(_MAX_ASPECT * side) + 1, 2))
    picture = _ground(generator, height, width)
    kinds: tuple[Callable[[Picture, _Place], None], ...] = (
        _ellipse,
        _polygon,
        _lines,
        _text,
        lambda canvas, place: _paste(canvas, place, photographs),
    )
    shares = (0.3, 0.3, 0.17, 0.15, 0.08)
    count = int(generator.integers(40, 160))
    # Large ones first, or they would cover the rest.
    radii = np.sort(side * np.exp(generator.uniform(np.log(0.004), np.log(0.35), count)))[::-1]
    for radius in radii:
        place = _Place(
            generator=generator,
            x=int(generator.integers(width)),
            y=int(generator.integers(height)),
            radius=max(int(radius), 2),
        )
        kinds[int(generator.choice(len(kinds), p=shares))](picture, place)
    return picture


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where something is drawn, its size in pixels, and what the rest of it is drawn from."""

    generator: Generator
    x: int
    y: int
    radius: int

    def colour(self) -> tuple[int, int, int]:
        blue, green, red = self.generator.integers(0, 256, 3).tolist()
        return blue, green, red

    def window(self, picture: Picture) -> Picture:
        """The square around the place, as far as it is in the picture; a view."""
        top, left = max(self.y - self.radius, 0), max(self.x - self.radius, 0)
        return picture[top : self.y + self.radius + 1, left : self.x + self.radius + 1]


def _photograph(name: str) -> Picture:
    # The other benchmarks do without it.
    import skimage.data  # noqa: PLC0415

    image = getattr(skimage.data, name)()
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)


def _ground(generator: Generator, height: int, width: int) -> Picture:
    """Smooth shading, and noise whose spectrum falls with the frequency as steeply as is drawn."""
    coarse = generator.uniform(20, 235, (*generator.integers(2, 6, 2), 3)).astype(np.float32)
    ground = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = np.zeros((height, width), np.float32)
    steepness = generator.uniform(0.2, 1.2)
    octaves = int(np.log2(min(height, width))) - 1
    for octave in range(octaves):
        shape = (max(height >> octave, 2), max(width >> octave, 2))
        field = generator.standard_normal(shape, dtype=np.float32)
        field *= 2.0 ** (steepness * (octave - octaves))
        noise += cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    noise *= generator.uniform(2, 30) / noise.std()
    tint = generator.uniform(0.5, 1.5, 3).astype(np.float32)
    ground += noise[..., None] * tint
    return np.clip(ground, 0, 255).astype(np.uint8)


def _ellipse(picture: Picture, place: _Place) -> None:
    axes = (place.radius, max(int(place.radius * place.generator.uniform(0.2, 1)), 1))
    thickness = -1 if place.generator.random() < 0.7 else max(place.radius // 12, 1)
    angle = place.generator.uniform(0, 180)
    centre = (place.x, place.y)
    cv2.ellipse(picture, centre, axes, angle, 0, 360, place.colour(), thickness, cv2.LINE_AA)


def _polygon(picture: Picture, place: _Place) -> None:
    generator = place.generator
    corners = int(generator.integers(3, 9))
    angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
    distances = place.radius * generator.uniform(0.4, 1, corners)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * distances[:, None]
    points = np.add(points, (place.x, place.y)).astype(np.int32)
    if generator.random() < 0.7:
        cv2.fillPoly(picture, [points], place.colour(), cv2.LINE_AA)
    else:
        width = max(place.radius // 12, 1)
        cv2.polylines(picture, [points], isClosed=True, color=place.colour(), thickness=width)


def _lines(picture: Picture, place: _Place) -> None:
    """Waves of one direction, from 2.5 pixels on, within a disc or a square."""
    generator = place.generator
    window = place.window(picture)
    y, x = np.mgrid[: window.shape[0], : window.shape[1]].astype(np.float32)
    angle = generator.uniform(0, np.pi)
    period = np.exp(generator.uniform(np.log(2.5), np.log(max(place.radius / 2, 4))))
    phase = (np.cos(angle) * x + np.sin(angle) * y) * (2 * np.pi / period)
    share = (0.5 + 0.5 * np.sin(phase).astype(np.float32))[..., None]
    first, second = (np.array(place.colour(), np.float32) for _ in range(2))
    waves = (first * share + second * (1 - share)).astype(np.uint8)
    if generator.random() < 0.5:
        window[...] = waves
        return
    middle = (window.shape[1] // 2, window.shape[0] // 2)
    disc = cv2.circle(np.zeros(window.shape[:2], np.uint8), middle, min(middle), 255, -1)
    cv2.copyTo(waves, disc, window)


def _text(picture: Picture, place: _Place) -> None:
    generator = place.generator
    letters = generator.choice(list(_LETTERS), int(generator.integers(2, 16)))
    font = _FONTS[int(generator.integers(len(_FONTS)))]
    scale = max(place.radius / 60, 0.3)
    thickness = max(int(2 * scale * generator.uniform(0.3, 1.2)), 1)
    origin = (place.x - place.radius, place.y)
    cv2.putText(
        picture, "".join(letters), origin, font, scale, place.colour(), thickness, cv2.LINE_AA
    )


def _paste(picture: Picture, place: _Place, photographs: Sequence[Picture]) -> None:
    """A piece of a photograph, pixel for pixel."""
    generator = place.generator
    photograph = photographs[int(generator.integers(len(photographs)))]
    window = place.window(picture)
    height, width = (min(a, b) for a, b in zip(window.shape[:2], photograph.shape[:2], strict=True))
    top = int(generator.integers(photograph.shape[0] - height + 1))
    left = int(generator.integers(photograph.shape[1] - width + 1))
    window[:height, :width] = photograph[top : top + height, left : left + width]
