import numpy as np
import pytest
from crafted_pictures import gradient

from dcae_export.pictures.sheet import side_by_side


def contains(sheet: np.ndarray, panel: np.ndarray) -> bool:
    height, width = panel.shape[:2]
    candidates = np.argwhere((sheet == panel[0, 0]).all(axis=2))
    return any(
        np.array_equal(sheet[y : y + height, x : x + width], panel) for y, x in candidates[:5000]
    )


def test_a_sheet_shows_both_pictures_unchanged():
    original = gradient(64, 400)
    reconstruction = original.copy()
    reconstruction[..., 0] ^= 0x10
    sheet = side_by_side(original, reconstruction, label="f32c32")
    assert contains(sheet, original)
    assert contains(sheet, reconstruction)


def test_a_small_picture_is_enlarged_by_a_whole_factor():
    original = gradient(16, 16)
    sheet = side_by_side(original, original, label="f32c32")
    assert sheet.shape[1] >= 3 * 320
    assert contains(sheet, original.repeat(20, axis=0).repeat(20, axis=1))


def test_the_error_map_is_black_only_where_the_pictures_agree():
    original = gradient(320, 320)
    reconstruction = original.copy()
    reconstruction[:, 160:] ^= 0x40
    sheet = side_by_side(original, reconstruction, label="")
    error_map = sheet[100:300, -8 - 320 : -8].max(axis=2)
    assert error_map[:, :150].max() < 8
    assert error_map[:, 170:].min() > 100


def test_a_long_label_is_cut_before_the_scores():
    original = gradient(320, 320)
    cut = side_by_side(original, original, label="dc-ae" * 60)
    longer = side_by_side(original, original, label="dc-ae" * 90)
    assert np.array_equal(cut, longer)
    assert not np.array_equal(cut, side_by_side(original, original, label="dc-ae"))


@pytest.mark.parametrize("size", [(11, 11), (11, 700), (700, 11)])
def test_odd_shapes_are_drawn(size: tuple[int, int]):
    sheet = side_by_side(gradient(*size), gradient(*size), label="f64c128")
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
