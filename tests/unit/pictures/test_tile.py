"""Several pictures as one."""

import numpy as np

from dcae_export.pictures.tile import tile


def flat(*levels: int) -> np.ndarray:
    """Pictures of one colour each, 3 rows and 5 columns."""
    return np.stack([np.full((3, 5, 3), level, np.uint8) for level in levels])


def test_one_picture_stays_as_it_is():
    assert np.array_equal(tile(flat(7)), flat(7)[0])


def test_pictures_stand_row_by_row_with_white_between_them_and_in_empty_places():
    sheet = tile(flat(1, 2, 3))
    assert sheet.shape == (3 + 4 + 3, 5 + 4 + 5, 3)
    assert (sheet[:3, :5] == 1).all()
    assert (sheet[:3, 9:] == 2).all()
    assert (sheet[7:, :5] == 3).all()
    assert (sheet[7:, 9:] == 255).all()
    assert (sheet[3:7] == 255).all()
