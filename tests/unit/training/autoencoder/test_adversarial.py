"""Hinge losses and the adaptive weight, by hand."""

import math

import pytest
import torch
from torch import nn

from dcae_export.training.autoencoder.adversarial import (
    MAX_ADAPTIVE_WEIGHT,
    adaptive_weight,
    discriminator_loss,
    generator_loss,
)


def test_the_generator_raises_the_logits_of_its_reconstructions():
    logits = torch.tensor([[1.0, -3.0]], requires_grad=True)
    loss = generator_loss(logits)
    loss.backward()
    assert loss.item() == 1.0
    assert logits.grad.tolist() == [[-0.5, -0.5]]


def test_the_hinge_counts_what_is_inside_the_margin_or_on_the_wrong_side():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, -0.5, 1.0])
    # 0, 0.5 and 2 on either side.
    assert discriminator_loss(real, fake).item() == pytest.approx(2.5 / 3)
    assert discriminator_loss(torch.zeros(4), torch.zeros(4)).item() == 1.0


def test_logits_beyond_the_margin_are_left_alone():
    real = torch.tensor([1.5], requires_grad=True)
    fake = torch.tensor([-1.5], requires_grad=True)
    discriminator_loss(real, fake).backward()
    assert real.grad.item() == fake.grad.item() == 0.0


def losses(weight: nn.Parameter, *, reconstruction: float, adversarial: float):
    """Losses whose gradients at ``weight`` have these norms."""
    length = math.sqrt(weight.numel())
    return weight.sum() * reconstruction / length, -weight.sum() * adversarial / length


def test_the_adaptive_weight_makes_both_gradients_equally_long():
    weight = nn.Parameter(torch.ones(3, 4))
    pair = losses(weight, reconstruction=6.0, adversarial=2.0)
    found = adaptive_weight(*pair, weight)
    assert found.item() == pytest.approx(6.0 / (2.0 + 1e-4))
    assert not found.requires_grad
    assert weight.grad is None


@pytest.mark.parametrize("adversarial", [0.0, 1e-6])
def test_the_adaptive_weight_is_bounded_where_the_adversarial_gradient_vanishes(adversarial):
    weight = nn.Parameter(torch.ones(3, 4))
    pair = losses(weight, reconstruction=6.0, adversarial=adversarial)
    assert adaptive_weight(*pair, weight).item() == MAX_ADAPTIVE_WEIGHT


def test_both_graphs_are_there_for_the_backward_pass():
    weight = nn.Parameter(torch.ones(2))
    hidden = weight.square()
    reconstruction, adversarial = hidden.mean(), hidden.sum()
    total = reconstruction + adaptive_weight(reconstruction, adversarial, weight) * adversarial
    total.backward()
    assert weight.grad.isfinite().all()


def test_gradients_too_small_for_float16_still_give_their_ratio():
    weight = nn.Parameter(torch.ones(4))
    # What a float16 layer hands back: 1e-8 is below its smallest number, 6e-8.
    half = weight.half()
    reconstruction, adversarial = half.float().sum() * 1e-8, half.float().sum() * 1e-8
    (lost,) = torch.autograd.grad(reconstruction, weight, retain_graph=True)
    assert not lost.any()
    # Two numbers of this size agree to some percent: what they have in float16 is a few bits.
    found = adaptive_weight(reconstruction, adversarial, weight)
    assert found.item() == pytest.approx(2e-8 / (2e-8 + 1e-4), rel=0.05)
