import itertools

import numpy as np
import pytest
from demo_pictures import held_out_pictures, training_pictures

from recipes.demo.numbering import Split, draw_picture
from recipes.demo.table import FAMILIES


def test_families_have_the_numbers_that_seeds_and_labels_hold():
    assert list(FAMILIES) == [
        "clouds",
        "marble",
        "bricks",
        "bubbles",
        "stripes",
        "stars",
        "hills",
        "leaves",
        "mosaics",
        "neon",
    ]
    assert [split.value for split in Split] == [0, 1]


def test_a_picture_is_drawn_from_split_family_and_number():
    expected = FAMILIES["stripes"](np.random.default_rng([1, 4, 7]), 64)
    assert np.array_equal(draw_picture(Split.HELD_OUT, "stripes", 7, 64), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_held_out_picture_is_one_of_training(family):
    pictures = training_pictures(family) + held_out_pictures(family)
    assert all(not np.array_equal(*pair) for pair in itertools.combinations(pictures, 2))


def test_any_number_can_be_drawn():
    assert draw_picture(Split.TRAINING, "neon", 10**9, 32).shape == (32, 32, 3)
