import numpy as np
import pytest
from crafted_pictures import gradient

from dcae_export.errors import PictureError
from dcae_export.runtime.fit import Fit, cover, fit

SIZE = (24, 40)
PICTURE = gradient(*SIZE)


def test_padding_repeats_the_bottom_and_right_edges():
    fitted, size = fit(PICTURE, divisor=32, mode=Fit.PAD)
    assert fitted.shape == (32, 64, 3)
    assert size == SIZE
    assert np.array_equal(fitted[:24, :40], PICTURE)
    assert (fitted[24:, :40] == PICTURE[-1:]).all()
    assert (fitted[:24, 40:] == PICTURE[:, -1:]).all()
    assert (fitted[24:, 40:] == PICTURE[-1, -1]).all()


def test_cropping_keeps_the_centre():
    fitted, size = fit(PICTURE, divisor=16, mode=Fit.CROP)
    assert size == (16, 32)
    assert np.array_equal(fitted, PICTURE[4:20, 4:36])


def test_cropping_below_the_divisor_names_the_other_modes():
    with pytest.raises(PictureError, match=r"40 x 24 .* 32; use pad or resize"):
        fit(PICTURE, divisor=32, mode=Fit.CROP)


@pytest.mark.parametrize(
    ("size", "expected"), [((24, 40), (32, 32)), ((47, 49), (32, 64)), ((1, 80), (32, 96))]
)
def test_resizing_goes_to_the_nearest_multiple(size: tuple[int, int], expected: tuple[int, int]):
    fitted, cropped = fit(gradient(*size), divisor=32, mode=Fit.RESIZE)
    assert fitted.shape == (*expected, 3)
    assert cropped == expected


def test_shrinking_averages_areas():
    checkerboard = np.indices((34, 34)).sum(axis=0) % 2 * 255
    image = np.stack([checkerboard] * 3, axis=-1).astype(np.uint8)
    fitted, _ = fit(image, divisor=33, mode=Fit.RESIZE)
    # Sampling would keep both colours everywhere; averages come close to grey in the middle.
    assert fitted.shape == (33, 33, 3)
    assert np.abs(fitted[16].astype(int) - 128).max() < 10


@pytest.mark.parametrize("mode", Fit)
def test_a_picture_that_fits_is_kept(mode: Fit):
    fitted, size = fit(PICTURE, divisor=8, mode=mode)
    assert np.array_equal(fitted, PICTURE)
    assert size == SIZE


@pytest.mark.parametrize("shape", [(50, 80), (80, 50), (30, 20), (64, 96)])
def test_covering_gives_exactly_the_size_and_cuts_the_longer_side(shape):
    ramp = np.broadcast_to(
        np.linspace(0, 255, shape[1]).astype(np.uint8)[None, :, None], (*shape, 3)
    )
    covered = cover(np.ascontiguousarray(ramp), size=(64, 96))
    assert covered.shape == (64, 96, 3)
    # What was in the middle stays there.
    assert abs(int(covered[32, 48, 0]) - 127) <= 4


def test_covering_cuts_a_narrow_picture_before_it_is_enlarged():
    # Enlarged whole, it would be 256 x 256,000,000 pixels.
    picture = np.zeros((1, 1_000_000, 3), np.uint8)
    picture[:, 400_000:] = 200
    covered = cover(picture, size=(256, 256))
    assert covered.shape == (256, 256, 3)
    assert (covered == 200).all()
