"""The families by name."""

from collections.abc import Callable

from recipes.demo.canvas import Generator, Picture
from recipes.demo.families import (
    bricks,
    bubbles,
    clouds,
    hills,
    leaves,
    marble,
    mosaics,
    neon,
    stars,
    stripes,
)

# In the order of their numbers, which seeds hold: append, and leave what is there.
FAMILIES: dict[str, Callable[[Generator, int], Picture]] = {
    "clouds": clouds.draw,
    "marble": marble.draw,
    "bricks": bricks.draw,
    "bubbles": bubbles.draw,
    "stripes": stripes.draw,
    "stars": stars.draw,
    "hills": hills.draw,
    "leaves": leaves.draw,
    "mosaics": mosaics.draw,
    "neon": neon.draw,
}
