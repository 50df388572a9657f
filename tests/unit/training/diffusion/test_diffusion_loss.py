"""The losses against other writings of the same: the textbook's formulas in float64, torch.distributions and SciPy."""

import math

import numpy as np
import pytest
import torch
from autoencoders import random_input
from scipy.stats import norm
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from dcae_export.parity import Tolerance, difference
from dcae_export.training.diffusion.loss import (
    ReverseStep,
    noise_loss,
    variational_bound,
    velocity_loss,
)

FLOAT64 = Tolerance(
    relative_l2=1e-9,
    max_abs=1e-9,
    because="float64; the mean of a step is a difference of numbers up to 1000 times as large",
)
SHAPE = (5, 3, 4, 2)
# DiT's betas, as Ho et al. give them.
BETAS = np.linspace(1e-4, 0.02, 1000)
KEPT = np.cumprod(1 - BETAS)


def drawn(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return random_input(*shape, seed=seed).double()


def reverse_step(*indices: int) -> ReverseStep:
    """The steps back from these levels, in float64."""
    index = np.array(indices)
    before = np.where(index > 0, KEPT[index - 1], 1.0)
    second = np.maximum(index, 1)
    least = BETAS[second] * (1 - KEPT[second - 1]) / (1 - KEPT[second])

    def column(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values)[:, None, None, None]

    return ReverseStep(
        signal=column(np.sqrt(KEPT[index])),
        noise=column(np.sqrt(1 - KEPT[index])),
        data_share=column(np.sqrt(before) * BETAS[index] / (1 - KEPT[index])),
        least_log_variance=column(np.log(least)),
        greatest_log_variance=column(np.log(BETAS[index])),
        is_last=column(index == 0),
    )


def textbook_divergence(
    index: int, data: np.ndarray, noise: np.ndarray, predicted: np.ndarray, variance: np.ndarray
) -> float:
    """Ho et al., equations 4, 6, 7 and 15: posterior and predicted step as two normal distributions."""
    beta, kept, before = BETAS[index], KEPT[index], KEPT[index - 1]
    state = math.sqrt(kept) * data + math.sqrt(1 - kept) * noise
    guess = (state - math.sqrt(1 - kept) * predicted) / math.sqrt(kept)
    of_data = math.sqrt(before) * beta / (1 - kept)
    of_state = math.sqrt(1 - beta) * (1 - before) / (1 - kept)
    posterior = beta * (1 - before) / (1 - kept)
    share = (variance + 1) / 2
    spread = np.exp(share * np.log(beta) + (1 - share) * np.log(posterior))
    truth = Normal(
        torch.as_tensor(of_data * data + of_state * state), torch.tensor(posterior**0.5).double()
    )
    step = Normal(
        torch.as_tensor(of_data * guess + of_state * state), torch.as_tensor(np.sqrt(spread))
    )
    return float(kl_divergence(truth, step).mean()) / math.log(2)


def bound(step: ReverseStep, data, noise, predicted, variance) -> Tensor:
    return variational_bound(
        step,
        data_BCHW=data,
        noise_BCHW=noise,
        predicted_BCHW=predicted,
        variance_BCHW=variance,
    )


def assert_equal(actual: Tensor, expected: np.ndarray) -> None:
    found = difference(actual.numpy(), expected)
    assert found.within(FLOAT64), str(found)


def test_the_noise_loss_is_a_mean_square():
    predicted, noise = drawn(1), drawn(2)
    expected = ((noise.numpy() - predicted.numpy()) ** 2).sum() / noise.numel()
    assert float(noise_loss(predicted, noise)) == pytest.approx(expected, rel=1e-12)
    assert float(noise_loss(noise, noise)) == 0


def test_the_velocity_is_how_the_state_of_a_flow_moves():
    data, noise = drawn(1), drawn(2)
    earlier, later = (t * data + (1 - t) * noise for t in (0.3, 0.3 + 2**-10))
    assert float(velocity_loss(2**10 * (later - earlier), data, noise)) < 1e-20
    expected = ((data.numpy() - noise.numpy() - 0.5) ** 2).mean()
    half = torch.full_like(data, 0.5)
    assert float(velocity_loss(half, data, noise)) == pytest.approx(expected, rel=1e-12)


def test_above_the_last_step_the_bound_is_the_divergence_of_two_normal_distributions():
    indices = (1, 2, 40, 500, 999)
    data, noise, predicted, variance = (drawn(seed) for seed in range(4))
    expected = [
        textbook_divergence(
            index, *(part[at].numpy() for part in (data, noise, predicted, variance))
        )
        for at, index in enumerate(indices)
    ]
    found = bound(reverse_step(*indices), data, noise, predicted, variance)
    assert_equal(found, np.array(expected))


def test_a_right_prediction_costs_nothing_above_the_last_step():
    data, noise = drawn(1), drawn(2)
    least = torch.full(SHAPE, -1.0, dtype=torch.float64)
    assert (
        float(bound(reverse_step(1, 7, 80, 700, 999), data, noise, noise, least).abs().max())
        < 1e-14
    )


def test_the_last_step_is_the_surprise_of_the_datas_bin():
    data = (drawn(1) * 0.6).clamp(-1.2, 1.2)
    data[0, 0, 0] = torch.tensor([-1.0, 1.0])
    data[1, 0, 0] = torch.tensor([-1.7, 1.7])
    noise, variance = drawn(2), drawn(4)
    predicted = noise + 0.5 * drawn(3)
    kept, beta = KEPT[0], BETAS[0]
    state = np.sqrt(kept) * data.numpy() + np.sqrt(1 - kept) * noise.numpy()
    mean = (state - np.sqrt(1 - kept) * predicted.numpy()) / np.sqrt(kept)
    posterior = BETAS[1] * (1 - KEPT[0]) / (1 - KEPT[1])
    share = (variance.numpy() + 1) / 2
    std = np.exp(0.5 * (share * np.log(beta) + (1 - share) * np.log(posterior)))
    x = data.numpy()
    lower = np.where(x < -0.999, -np.inf, x - 1 / 255)
    upper = np.where(x > 0.999, np.inf, x + 1 / 255)
    # Where both ends are in the upper tail, SciPy's differences are taken there, too.
    probability = np.where(
        lower > mean,
        norm.sf(lower, mean, std) - norm.sf(upper, mean, std),
        norm.cdf(upper, mean, std) - norm.cdf(lower, mean, std),
    )
    expected = -np.log(np.maximum(probability, 1e-12)).reshape(len(x), -1).mean(1) / np.log(2)
    assert_equal(bound(reverse_step(0, 0, 0, 0, 0), data, noise, predicted, variance), expected)


def test_the_probabilities_of_all_bins_make_one():
    levels = torch.linspace(-1, 1, 256, dtype=torch.float64)
    data = levels[:, None, None, None]
    step = reverse_step(*[0] * 256)
    # The prediction is off by what makes the mean 0.1 for every level.
    noise = torch.zeros_like(data)
    predicted = (data - 0.1) * step.signal / step.noise / step.data_share
    variance = torch.full_like(data, 8.0)
    bits = bound(step, data, noise, predicted, variance)
    assert float(torch.exp2(-bits).sum()) == pytest.approx(1, abs=1e-9)


def test_of_the_bounds_gradient_the_predicted_noise_gets_none():
    data, noise = drawn(1), drawn(2)
    predicted = drawn(3).requires_grad_()
    variance = drawn(4).requires_grad_()
    bound(reverse_step(0, 1, 40, 500, 999), data, noise, predicted, variance).sum().backward()
    assert predicted.grad is None
    assert variance.grad is not None
    assert (variance.grad[1:] != 0).all()


@pytest.mark.parametrize("index", [0, 1, 999])
def test_the_variances_gradient_is_the_slope_of_the_bound(index):
    shape = (1, 2, 2, 2)
    data, noise = drawn(1, shape) * 0.5, drawn(2, shape)
    predicted = noise + 0.1 * drawn(3, shape)
    variance = (0.5 * drawn(4, shape)).requires_grad_()
    step = reverse_step(index)
    assert torch.autograd.gradcheck(lambda v: bound(step, data, noise, predicted, v), variance)


def test_a_prediction_far_off_costs_no_more_than_the_least_probability_and_stays_finite():
    data, noise = drawn(1).float() * 0.1, drawn(2).float()
    variance = torch.full(SHAPE, -1.0, requires_grad=True)
    step = reverse_step(0, 0, 0, 0, 0)
    single = ReverseStep(
        signal=step.signal.float(),
        noise=step.noise.float(),
        data_share=step.data_share.float(),
        least_log_variance=step.least_log_variance.float(),
        greatest_log_variance=step.greatest_log_variance.float(),
        is_last=step.is_last,
    )
    bits = bound(single, data, noise, noise + 1e4, variance)
    assert bits.detach().numpy() == pytest.approx(-math.log2(1e-12), rel=1e-6)
    bits.sum().backward()
    assert variance.grad is not None
    assert not variance.grad.any()
