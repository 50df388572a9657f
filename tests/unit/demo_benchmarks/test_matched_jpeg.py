import numpy as np
import pytest
from demo_pictures import drawn

from benchmarks.matched_jpeg import matched_jpeg
from dcae_export.pictures.metrics import psnr_db
from recipes.demo.numbering import Split

# Its files of full size have 0.6 to 15 kB.
PICTURE = drawn(Split.HELD_OUT, "leaves", 0, 128)


@pytest.mark.parametrize("budget", [1800, 3000, 9000])
def test_the_file_fits_and_one_of_a_higher_quality_would_not(budget):
    found = matched_jpeg(PICTURE, budget)
    assert found.bytes <= budget
    assert not found.shrunk
    assert found.picture.shape == PICTURE.shape
    better = matched_jpeg(PICTURE, found.bytes - 1)
    assert better.quality < found.quality


def test_more_bytes_hold_more_of_the_picture():
    scores = [psnr_db(PICTURE, matched_jpeg(PICTURE, n).picture) for n in (1000, 2000, 4000, 8000)]
    assert scores == sorted(scores)


def test_everything_fits_at_the_highest_quality():
    found = matched_jpeg(PICTURE, 10**6)
    assert (found.quality, found.shrunk) == (100, False)
    assert psnr_db(PICTURE, found.picture) > 25


def test_where_the_lowest_quality_is_too_large_the_picture_is_shrunk_before():
    found = matched_jpeg(PICTURE, 500)
    assert found.shrunk
    assert found.bytes <= 500
    assert found.picture.shape == PICTURE.shape
    # It still is the picture.
    flat = np.full_like(PICTURE, PICTURE.mean(axis=(0, 1)).astype(np.uint8))
    assert psnr_db(PICTURE, found.picture) > psnr_db(PICTURE, flat)


def test_no_jpeg_is_smaller_than_its_headers():
    assert matched_jpeg(PICTURE, 100) is None
