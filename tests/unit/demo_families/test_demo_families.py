import numpy as np
import pytest
from demo_pictures import SMALL, drawn, training_pictures

from recipes.demo.numbering import Split, draw_picture
from recipes.demo.table import FAMILIES

# In levels. A flat picture has none; the flattest of 160 of each family has twice as much.
LEAST_CONTRAST = 9.0
# In levels, between a family's pictures; neon, which is always dark, has twice as much.
LEAST_SPREAD_OF_COLOURS = 12.0

of_every_family = pytest.mark.parametrize("family", FAMILIES)


@of_every_family
@pytest.mark.parametrize("side", [SMALL, 256, 512])
def test_a_picture_is_a_square_of_bytes_that_varies(family, side):
    picture = drawn(Split.HELD_OUT, family, 0, side)
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert picture.std(axis=(0, 1)).max() > LEAST_CONTRAST


@of_every_family
def test_a_side_need_not_be_a_power_of_two(family):
    assert draw_picture(Split.HELD_OUT, family, 1, 75).shape == (75, 75, 3)


@of_every_family
def test_the_same_number_is_the_same_picture(family):
    again = draw_picture(Split.TRAINING, family, 5, SMALL)
    assert np.array_equal(again, drawn(Split.TRAINING, family, 5, SMALL))


@of_every_family
def test_pictures_vary_in_colour_and_composition(family):
    pictures = np.stack(training_pictures(family))
    assert all(picture.std(axis=(0, 1)).max() > LEAST_CONTRAST for picture in pictures)
    means = pictures.mean(axis=(1, 2))
    assert means.std(axis=0).max() > LEAST_SPREAD_OF_COLOURS
    assert pictures.astype(np.float64).std(axis=0).mean() > LEAST_SPREAD_OF_COLOURS
