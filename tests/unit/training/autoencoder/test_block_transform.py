"""The DCT of blocks, in the order of natural pictures; and noise with their spectrum."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from dcae_export.training.autoencoder.block_transform import coefficients, natural_noise

# Sums of 256 products in float32.
ROUNDING = 1e-5


def noise(count: int = 4, side: int = 64, *, seed: int = 0) -> torch.Tensor:
    return natural_noise(count, side, generator=torch.Generator().manual_seed(seed))


def test_coefficients_of_grey_blocks_are_those_of_scipy():
    grey = torch.randn(1, 1, 32, 16, generator=torch.Generator().manual_seed(0)).expand(
        1, 3, 32, 16
    )
    found = coefficients(grey, 3 * 64, level=3, whitening=0.0)[0, :, 3, 1].sort().values
    block = dctn(grey[0, 0, 24:, 8:].numpy(), norm="ortho").flatten()
    # Of a grey block both planes of colour differences are zero.
    expected = np.sort(np.concatenate([block, np.zeros(128)]))
    assert np.abs(found.numpy() - expected).max() < ROUNDING * np.abs(expected).max() * 10


def test_the_mean_of_a_block_leads_and_spreads_fall():
    pictures = noise(16)
    found = coefficients(pictures, 30, level=3, whitening=0.0)
    luma = pictures.mul(torch.tensor((0.299, 0.587, 0.114))[:, None, None]).sum(dim=1)
    means = torch.nn.functional.avg_pool2d(luma, 8) * 8
    assert torch.allclose(found[:, 0], means, atol=1e-4)
    spreads = found.std(dim=(0, 2, 3))
    assert spreads[:10].mean() > spreads[10:20].mean() > spreads[20:].mean()


def test_whitened_coefficients_have_one_spread():
    spreads = coefficients(noise(), 40, level=3).std(dim=(0, 2, 3))
    assert spreads.tolist() == pytest.approx([1.0] * 40, abs=ROUNDING)


def test_zeros_follow_the_last_coefficient():
    found = coefficients(noise(), 20, level=1)
    assert (found[:, :12] != 0).any(dim=(0, 2, 3)).all()
    assert not found[:, 12:].any()


def test_the_amplitude_of_noise_falls_with_frequency():
    grey = noise(32, 128).mean(dim=1)
    spectrum = torch.fft.rfft(grey, dim=2).abs().square().mean(dim=(0, 1)).sqrt()
    frequency = np.arange(4, 40)
    slope = np.polyfit(np.log(frequency), np.log(spectrum[4:40].numpy()), 1)[0]
    # Amplitude 1 / f in two dimensions is f ** -0.5 along a line.
    assert slope == pytest.approx(-0.5, abs=0.1)


def test_noise_is_of_its_seed():
    assert torch.equal(noise(seed=3), noise(seed=3))
    assert not torch.equal(noise(seed=3), noise(seed=4))
