"""What the families of diffusion transformers minimise, as functions of tensors.

Shape suffixes: B batch, C latent channels, H and W the latent's sides. Everything is float32 or wider, outside of
autocast.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Pictures have 256 levels in [-1, 1]. DiT's code counts latents in bins of the same width.
_HALF_BIN = 1 / 255
# Beyond it a value is in the first or the last bin, which have no end.
_LAST_CENTRE = 0.999
# The probability of a bin is no smaller than this: further off, a value costs no more and pulls no more.
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class ReverseStep:
    """The step of each sample back from its level to the one before, as (B, 1, 1, 1).

    A state is ``signal`` * data + ``noise`` * z. Given the data, the state one level below is normal, with
    ``data_share`` of the data in its mean and the log-variance ``least_log_variance``; ``greatest_log_variance`` is
    the log of the level's beta (Ho et al., arXiv 2006.11239, equation 7). The first level's least variance would be
    0: the second's stands in for it. ``is_last`` is True where the step ends in data.
    """

    signal: Tensor
    noise: Tensor
    data_share: Tensor
    least_log_variance: Tensor
    greatest_log_variance: Tensor
    is_last: Tensor


def noise_loss(predicted_BCHW: Tensor, noise_BCHW: Tensor) -> Tensor:
    """The mean square of what a predicted noise is off (Ho et al., arXiv 2006.11239, equation 14)."""
    return (noise_BCHW - predicted_BCHW).square().mean()


def velocity_loss(predicted_BCHW: Tensor, data_BCHW: Tensor, noise_BCHW: Tensor) -> Tensor:
    """The mean square of what a predicted velocity is off (Ma et al., "SiT", arXiv 2401.08740, section 2).

    Of the state t * data + (1 - t) * noise, from noise at t = 0 to data at t = 1, it is data - noise.
    """
    return (data_BCHW - noise_BCHW - predicted_BCHW).square().mean()


def variational_bound(
    step: ReverseStep,
    *,
    data_BCHW: Tensor,
    noise_BCHW: Tensor,
    predicted_BCHW: Tensor,
    variance_BCHW: Tensor,
) -> Tensor:
    """The term of the variational bound at each sample's level, in bits for each number (B,).

    Nichol and Dhariwal, arXiv 2102.09672, equations 4 to 6 and 15. It is the divergence of the predicted reverse
    step from the true one; at the last step, the negative log-likelihood of the data in bins as of 8-bit pictures.
    Of its gradient only the variance gets some: the predicted noise is taken as it is (there, section 3.1).

    Args:
        step: From the levels that the samples are at.
        data_BCHW: The clean latents.
        noise_BCHW: What they were mixed with.
        predicted_BCHW: The noise that the network predicts.
        variance_BCHW: What it says of the variance: -1 is the least, 1 the greatest.
    """
    share = (variance_BCHW + 1) / 2
    log_variance = share * step.greatest_log_variance + (1 - share) * step.least_log_variance
    # The true mean less the predicted one; the state's share is the same in both.
    off = step.data_share * step.noise / step.signal * (predicted_BCHW.detach() - noise_BCHW)
    nats = torch.where(
        step.is_last,
        _bin_surprise(data_BCHW, off, log_variance),
        _divergence(off, step.least_log_variance, log_variance),
    )
    return nats.flatten(1).mean(dim=1) / math.log(2)


def _divergence(off: Tensor, true_log_variance: Tensor, log_variance: Tensor) -> Tensor:
    """From a normal distribution to another whose mean is ``off`` away, in nats: KL(true || predicted)."""
    log_ratio = true_log_variance - log_variance
    return (log_ratio.expm1() - log_ratio + off.square() * (-log_variance).exp()) / 2


def _bin_surprise(data: Tensor, off: Tensor, log_variance: Tensor) -> Tensor:
    """-log of the probability of the data's bin, under a normal distribution whose mean is ``off`` below the data."""
    per_std = (-log_variance / 2).exp()
    # From the nearer tail, where a difference of two numbers near 1 would have no digits left.
    near = off.abs()
    inside = _below((_HALF_BIN - near) * per_std) - _below((-_HALF_BIN - near) * per_std)
    first, last = _below((off + _HALF_BIN) * per_std), _below((_HALF_BIN - off) * per_std)
    probability = torch.where(
        data < -_LAST_CENTRE, first, torch.where(data > _LAST_CENTRE, last, inside)
    )
    return -probability.clamp(min=_LEAST_PROBABILITY).log()


def _below(value: Tensor) -> Tensor:
    """The probability that a standard normal number is below a value."""
    return torch.erfc(-value / math.sqrt(2)) / 2
