"""The adversarial loss: the hinge of either side, and the weight that balances it against the reconstruction."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_ADAPTIVE_WEIGHT = 1e4
# Keeps the ratio finite where the adversarial gradient vanishes.
_EPS = 1e-4
# Both losses are multiplied by it before their gradients are taken: their ratio stays, and what a mean over a
# batch of pictures leaves for each pixel (4e-7 at 12 pictures of 256 px) does not fall below float16's numbers.
_SCALE = 1024.0


def generator_loss(logits_fake: Tensor) -> Tensor:
    """What the autoencoder minimises: the negative mean of the logits of its reconstructions (any shape)."""
    return -logits_fake.mean()


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """The hinge loss, the mean of both sides: 1 where the logits are 0, 0 beyond 1 for real and -1 for fake.

    Geometric GAN (arXiv 1705.02894), with the factor 1/2 of VQGAN's code.
    """
    return (F.relu(1.0 - logits_real).mean() + F.relu(1.0 + logits_fake).mean()) / 2


def adaptive_weight(
    reconstruction_loss: Tensor, adversarial_loss: Tensor, last_weight: nn.Parameter
) -> Tensor:
    """|gradient of the reconstruction loss| / |gradient of the adversarial loss| at the decoder's last layer.

    VQGAN (arXiv 2012.09841), equation 7. A scalar without a graph, from 0 to ``MAX_ADAPTIVE_WEIGHT``; both losses'
    graphs are kept for the backward pass.

    Args:
        reconstruction_loss: Scalar.
        adversarial_loss: Scalar, ``generator_loss``.
        last_weight: A parameter that both depend on.
    """
    reconstruction = _gradient_norm(reconstruction_loss, last_weight)
    adversarial = _gradient_norm(adversarial_loss, last_weight)
    weight = reconstruction / (adversarial + _SCALE * _EPS)
    return weight.clamp(max=MAX_ADAPTIVE_WEIGHT)


def _gradient_norm(loss: Tensor, weight: nn.Parameter) -> Tensor:
    """The length of a loss' gradient, times ``_SCALE``."""
    (gradient,) = torch.autograd.grad(_SCALE * loss, weight, retain_graph=True)
    return gradient.float().square().sum().sqrt()
