"""Pictures of the demo's families, each drawn once for all tests."""

from functools import cache

from recipes.demo.canvas import Picture
from recipes.demo.numbering import Split, draw_picture

# The pictures of a family that many tests look at, at a size that is drawn in milliseconds.
SMALL = 64
NUM_TRAINING, NUM_HELD_OUT = 12, 4


@cache
def drawn(split: Split, family: str, number: int, side: int) -> Picture:
    """A picture; do not write into it."""
    return draw_picture(split, family, number, side)


def training_pictures(family: str) -> list[Picture]:
    return [drawn(Split.TRAINING, family, number, SMALL) for number in range(NUM_TRAINING)]


def held_out_pictures(family: str) -> list[Picture]:
    return [drawn(Split.HELD_OUT, family, number, SMALL) for number in range(NUM_HELD_OUT)]
