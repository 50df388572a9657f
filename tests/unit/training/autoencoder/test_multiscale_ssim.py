"""Multi-scale SSIM against scikit-image, and against its definition written out."""

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from skimage import data
from skimage.metrics import structural_similarity
from torch import Tensor

from dcae_export.errors import ConfigError
from dcae_export.training.autoencoder.multiscale_ssim import multiscale_ssim, num_scales

EXPONENTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def photograph_and_copy(height: int, width: int) -> tuple[Tensor, Tensor]:
    """A photograph in [0, 1] in float64, and a darker, noisy one."""
    picture = data.astronaut()[:height, :width].transpose(2, 0, 1)[None] / 255.0
    noise = np.random.default_rng(0).normal(0, 0.1, picture.shape)
    return torch.from_numpy(picture), torch.from_numpy(0.9 * picture + noise)


def window() -> np.ndarray:
    offsets = np.arange(11) - 5
    square = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    return square / square.sum()


def by_definition(x: np.ndarray, y: np.ndarray, *, scales: int) -> float:
    """One channel (1, H, W): each window by itself, its variances about its own means."""
    result = 1.0
    exponents = EXPONENTS[:scales] / EXPONENTS[:scales].sum()
    weights = window()
    for scale, exponent in enumerate(exponents):
        if scale:
            x, y = (
                a.reshape(a.shape[0], a.shape[1] // 2, 2, a.shape[2] // 2, 2).mean(axis=(2, 4))
                for a in (x, y)
            )
        wx, wy = (sliding_window_view(a, (11, 11), axis=(1, 2)) for a in (x, y))
        mx, my = ((w * weights).sum(axis=(-2, -1)) for w in (wx, wy))
        dx, dy = wx - mx[..., None, None], wy - my[..., None, None]
        vx, vy, covariance = (
            (a * b * weights).sum(axis=(-2, -1)) for a, b in ((dx, dx), (dy, dy), (dx, dy))
        )
        alike = (2 * covariance + 0.03**2) / (vx + vy + 0.03**2)
        if scale == scales - 1:
            alike = alike * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        result *= alike.mean() ** exponent
    return result


@pytest.mark.parametrize(("height", "width"), [(20, 31), (64, 48)])
def test_one_scale_is_ssim(height, width):
    x, y = photograph_and_copy(height, width)
    expected = structural_similarity(
        x[0].numpy(),
        y[0].numpy(),
        data_range=1.0,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert multiscale_ssim(x, y, scales=1).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("side", "scales"), [(48, 3), (176, 5)])
def test_several_scales_are_the_product_of_their_definition(side, scales):
    x, y = (picture[:, :1] for picture in photograph_and_copy(side, side))
    expected = by_definition(x[0].numpy(), y[0].numpy(), scales=scales)
    assert 0.1 < expected < 0.95
    assert multiscale_ssim(x, y, scales=scales).item() == pytest.approx(expected, rel=1e-9)


def test_each_picture_of_a_batch_is_judged_alone():
    x, y = photograph_and_copy(48, 48)
    both = multiscale_ssim(torch.cat([x, x]), torch.cat([x, y]), scales=2)
    assert both[0] == pytest.approx(1.0)
    assert both[1] == pytest.approx(multiscale_ssim(x, y, scales=2).item())


@pytest.mark.parametrize(
    ("side", "expected"), [(11, 1), (21, 1), (22, 2), (128, 4), (175, 4), (176, 5), (2048, 5)]
)
def test_a_picture_holds_as_many_scales_as_the_window_fits(side, expected):
    assert num_scales(side) == expected
    x = torch.zeros(1, 1, side, side) if side < 200 else None
    if x is not None:
        assert multiscale_ssim(x, x, scales=expected).item() == pytest.approx(1.0)


def test_a_picture_below_the_window_is_refused():
    with pytest.raises(ConfigError, match="windows of 11 px: 10 px is too small a picture"):
        num_scales(10)


def test_pictures_that_are_opposites_have_a_finite_gradient():
    x, _ = photograph_and_copy(48, 48)
    y = (1 - x).requires_grad_()
    alike = multiscale_ssim(x, y, scales=3)
    (gradient,) = torch.autograd.grad(alike.sum(), y)
    assert 0 < alike.item() < 0.1
    assert gradient.isfinite().all()


def test_autocast_does_not_take_the_variances_digits():
    x, y = (a.float() for a in photograph_and_copy(48, 48))
    expected = multiscale_ssim(x, y, scales=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = multiscale_ssim(x, y, scales=3)
    assert torch.equal(found, expected)
