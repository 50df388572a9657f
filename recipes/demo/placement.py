"""Where things go, so that they keep apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipes.demo.canvas import Generator

_OFFERS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Disc:
    """A place and the radius around it, in sides of the picture."""

    x: float
    y: float
    radius: float


def keep_apart(
    generator: Generator, radii: Sequence[float], *, overlap: float = 0.0, margin: float = 0.0
) -> list[Disc]:
    """Place discs one after another, each where it is farthest from those before it (Mitchell 1991).

    Args:
        generator: What is drawn from.
        radii: In the order in which they are placed; the largest first leaves most room.
        overlap: The share of its radius by which a disc may reach into another; one that finds no such place is
            left out.
        margin: How far from the picture a centre may be, in radii; -1 keeps the disc within.
    """
    placed: list[Disc] = []
    for radius in radii:
        offers = generator.uniform(-margin * radius, 1 + margin * radius, (_OFFERS, 2))
        gaps = np.full(_OFFERS, np.inf)
        for disc in placed:
            distances = np.hypot(offers[:, 0] - disc.x, offers[:, 1] - disc.y)
            gaps = np.minimum(gaps, distances - disc.radius - radius)
        best = int(np.argmax(gaps))
        if gaps[best] >= -overlap * radius:
            x, y = offers[best].tolist()
            placed.append(Disc(x=x, y=y, radius=radius))
    return placed
