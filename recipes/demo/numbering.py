"""Every picture has a number: there is no end of them, and none of training is held out."""

from enum import IntEnum

import numpy as np

from recipes.demo.canvas import Picture
from recipes.demo.table import FAMILIES


class Split(IntEnum):
    """What pictures are for; the number is a part of their seeds."""

    TRAINING = 0
    HELD_OUT = 1


def draw_picture(split: Split, family: str, number: int, side: int) -> Picture:
    """A picture of ``side`` by ``side`` pixels, (side, side, 3) RGB, 0 to 255.

    It is drawn from the seed [split, the family's number, number]. With the same release of NumPy it is the same on
    every machine, but for levels that sums in another order round the other way. ``side`` changes its sharpness only.
    """
    place = list(FAMILIES).index(family)
    return FAMILIES[family](np.random.default_rng([split, place, number]), side)
