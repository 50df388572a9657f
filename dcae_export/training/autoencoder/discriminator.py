"""PatchGAN's discriminator: whether each patch of 70x70 pixels looks like one of a photograph."""

import torch
from torch import Tensor, nn

from dcae_export.models.autoencoder import IMAGE_CHANNELS

_WIDTH = 64
_SLOPE = 0.2
_STD = 0.02


class PatchDiscriminator(nn.Module):
    """Image (B, 3, H, W) in [-1, 1] to logits (B, 1, H / 8 - 2, W / 8 - 2), one for each patch; above 0 is real.

    Image-to-image translation (arXiv 1611.07004), appendix 6.1.2: 4x4 convolutions, three of stride 2 and two of
    stride 1, leaky ReLU, batch norm on all but the first and the last. H and W are at least 24 pixels.

    The norms take the statistics of the batch at hand, always: running ones would serve a discriminator that is
    used outside of training, of which there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(IMAGE_CHANNELS, _WIDTH, 4, stride=2, padding=1),
            nn.LeakyReLU(_SLOPE),
        ]
        width = _WIDTH
        for stride in (2, 2, 1):
            layers += [
                nn.Conv2d(width, 2 * width, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(2 * width, track_running_stats=False),
                nn.LeakyReLU(_SLOPE),
            ]
            width *= 2
        layers.append(nn.Conv2d(width, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.layers(image_BCHW)


@torch.no_grad()
def initialize_discriminator(discriminator: PatchDiscriminator, *, seed: int) -> None:
    """Draw a discriminator's weights as image-to-image translation does (arXiv 1611.07004, appendix 6.2).

    Convolutions are normal with a standard deviation of 0.02, norms' weights too, around 1; biases are 0.
    """
    generator = torch.Generator().manual_seed(seed)
    for part in discriminator.modules():
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d):
            mean = 1.0 if isinstance(part, nn.BatchNorm2d) else 0.0
            # Drawn on the CPU, the same for every device.
            part.weight.copy_(mean + _STD * torch.randn(part.weight.shape, generator=generator))
            if part.bias is not None:  # pyright: ignore[reportUnnecessaryComparison] - typed as always there
                part.bias.zero_()
