"""PatchGAN's discriminator: its patches, its sizes, its draws."""

import pytest
import torch
from autoencoders import random_input
from torch import nn

from dcae_export.training.autoencoder.discriminator import (
    PatchDiscriminator,
    initialize_discriminator,
)


@pytest.fixture(scope="module")
def discriminator() -> PatchDiscriminator:
    discriminator = PatchDiscriminator()
    initialize_discriminator(discriminator, seed=0)
    return discriminator


def without_norms(discriminator: PatchDiscriminator) -> nn.Sequential:
    """The convolutions alone: a norm's statistics are of the batch, not of a patch."""
    return nn.Sequential(
        *(
            nn.Identity() if isinstance(layer, nn.BatchNorm2d) else layer
            for layer in discriminator.layers
        )
    )


def test_a_logit_sees_a_patch_of_70_by_70_pixels(discriminator):
    image = random_input(1, 3, 128, 128).requires_grad_()
    logits = without_norms(discriminator)(image)
    (gradient,) = torch.autograd.grad(logits[0, 0, 7, 6], image)
    seen = gradient[0].abs().sum(dim=0) > 0
    rows, columns = seen.any(dim=1).nonzero().flatten(), seen.any(dim=0).nonzero().flatten()
    assert (len(rows), rows[-1] - rows[0] + 1) == (70, 70)
    assert (len(columns), columns[-1] - columns[0] + 1) == (70, 70)
    assert seen.sum() == 70 * 70
    # The next logit's patch is 8 pixels further on.
    (gradient,) = torch.autograd.grad(without_norms(discriminator)(image)[0, 0, 8, 6], image)
    assert gradient[0].abs().sum(dim=(0, 2)).nonzero()[0] - rows[0] == 8


@pytest.mark.parametrize(("height", "width"), [(24, 24), (64, 40)])
def test_there_is_a_logit_for_each_patch(discriminator, height, width):
    logits = discriminator(random_input(2, 3, height, width))
    assert logits.shape == (2, 1, height // 8 - 2, width // 8 - 2)


def test_it_has_the_weights_of_the_published_one(discriminator):
    shapes = [tuple(m.weight.shape) for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [
        (64, 3, 4, 4),
        (128, 64, 4, 4),
        (256, 128, 4, 4),
        (512, 256, 4, 4),
        (1, 512, 4, 4),
    ]
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 2_765_633


def test_a_pass_changes_no_buffer(discriminator):
    assert not list(discriminator.buffers())


def test_the_same_seed_draws_the_same_weights(discriminator):
    again, other = PatchDiscriminator(), PatchDiscriminator()
    initialize_discriminator(again, seed=0)
    initialize_discriminator(other, seed=1)
    first, same, different = (module.state_dict() for module in (discriminator, again, other))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["layers.0.weight"], different["layers.0.weight"])
    assert first["layers.2.weight"].std() == pytest.approx(0.02, rel=0.02)
    assert first["layers.9.weight"].mean() == pytest.approx(1.0, abs=0.01)
