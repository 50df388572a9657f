import math

import numpy as np
import pytest
from crafted_pictures import gradient
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dcae_export.errors import PictureError
from dcae_export.pictures.metrics import psnr_db, ssim

# Both sum in float64, in another order; scikit-image weighs with the same Gaussian.
SSIM_TOLERANCE = 1e-9
PSNR_TOLERANCE_DB = 1e-9


def noisy(image: NDArray[np.uint8], *, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 12, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def reference_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return structural_similarity(
        a,
        b,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
    )


# 138 and 139 rows end a band of windows; 11 is the window itself.
@pytest.mark.parametrize("size", [(11, 11), (12, 40), (138, 60), (139, 60), (300, 70)])
def test_ssim_is_that_of_scikit_image(size: tuple[int, int]):
    a = gradient(*size)
    b = noisy(a)
    assert ssim(a, b) == pytest.approx(reference_ssim(a, b), abs=SSIM_TOLERANCE)


def test_ssim_of_equal_pictures_is_one():
    a = noisy(gradient(32, 32))
    assert ssim(a, a) == pytest.approx(1, abs=SSIM_TOLERANCE)


def test_ssim_of_a_picture_below_the_window_is_an_error():
    with pytest.raises(PictureError, match="at least 11 x 11"):
        ssim(gradient(10, 40), gradient(10, 40))


def test_psnr_is_that_of_scikit_image():
    a = gradient(40, 30)
    b = noisy(a)
    expected = peak_signal_noise_ratio(a, b, data_range=255)
    assert psnr_db(a, b) == pytest.approx(expected, abs=PSNR_TOLERANCE_DB)


def test_psnr_of_equal_pictures_is_infinite():
    assert psnr_db(gradient(8, 8), gradient(8, 8)) == math.inf


def test_psnr_of_opposite_pictures_does_not_overflow():
    black = np.zeros((1024, 1024, 3), np.uint8)
    assert psnr_db(black, black + 255) == pytest.approx(0, abs=PSNR_TOLERANCE_DB)


def test_metrics_accept_views():
    a = gradient(40, 30)
    b = noisy(a)
    assert psnr_db(a[:, ::-1], b[:, ::-1]) == psnr_db(a, b)
    assert ssim(a[::-1], b[::-1]) == pytest.approx(ssim(a, b), abs=SSIM_TOLERANCE)
