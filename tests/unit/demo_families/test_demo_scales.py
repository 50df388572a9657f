import cv2
import numpy as np
import pytest
from demo_pictures import SMALL, drawn

from recipes.demo.numbering import Split
from recipes.demo.table import FAMILIES

# In levels, on average over a picture. Corners and lines that are thinner than a pixel of the small picture are
# blurred differently by drawing and by averaging; the rest agrees to the rounding, which is 0.25 of a level.
SAME_PICTURE = 0.5


def difference(small, large):
    averaged = cv2.resize(large, small.shape[:2], interpolation=cv2.INTER_AREA)
    return np.abs(averaged.astype(np.int16) - small).mean()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", [256, 512])
def test_a_larger_picture_is_the_same_but_sharper(family, side):
    small, large = (drawn(Split.HELD_OUT, family, 0, size) for size in (side, 2 * side))
    assert difference(small, large) < SAME_PICTURE


@pytest.mark.parametrize("family", FAMILIES)
def test_another_picture_would_not_pass_for_a_larger_one(family):
    small, other = drawn(Split.TRAINING, family, 0, SMALL), drawn(Split.HELD_OUT, family, 0, 256)
    assert difference(small, other) > 20 * SAME_PICTURE
