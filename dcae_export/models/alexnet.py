"""AlexNet without its classifier: the features that LPIPS compares.

The single column of Krizhevsky (arXiv 1404.5997) without the last pooling, in the widths of torchvision's published
state dict, whose keys these are.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from dcae_export.models.frozen import draw_frozen, load_frozen

ALEXNET_CHANNELS = (64, 192, 384, 256, 256)
ALEXNET_MIN_SIDE = 31
"""Pixels; with fewer the last pooling has nothing to take."""

_CLASSIFIER = ("classifier.",)


class AlexNet(nn.Module):
    """Image (B, 3, H, W) to the activations of its five convolutions.

    They have ``ALEXNET_CHANNELS`` channels; the first has sides of about 1/4 of the image, the second of 1/8, the
    others of 1/16. The image is normalised by the caller.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth, fifth = ALEXNET_CHANNELS
        self.features = nn.Sequential(
            nn.Conv2d(3, first, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(first, second, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(second, third, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(third, fourth, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(fourth, fifth, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, ...]:
        x = image_BCHW
        taps: list[Tensor] = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                taps.append(x)
        return tuple(taps)


def load_alexnet(path: Path) -> AlexNet:
    """The frozen network of a file (.pth, .pt, .ckpt, .safetensors) that has torchvision's names.

    Tensors of the classifier may be there and are left out.

    Raises:
        WeightsError: The file is malformed, or not exactly AlexNet.
        RefusedError: A pickle that holds more than tensors.
    """
    return load_frozen(_on_meta(), path, of="AlexNet", left_out=_CLASSIFIER)


def draw_alexnet(*, seed: int) -> AlexNet:
    """The frozen network with random weights, for trials."""
    return draw_frozen(_on_meta(), seed=seed)


def _on_meta() -> AlexNet:
    with torch.device("meta"):
        return AlexNet()
