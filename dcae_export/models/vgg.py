"""VGG-16 without its classifier: the features that a perceptual loss compares.

Configuration D of Simonyan and Zisserman (arXiv 1409.1556) without the last pooling. Keys are those of
torchvision's published state dict.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from dcae_export import hub
from dcae_export.models.frozen import load_frozen

REPOSITORY = "timm/vgg16.tv_in1k"
TAP_CHANNELS = (64, 128, 256, 512, 512)

_CONVOLUTIONS = (2, 2, 3, 3, 3)
_FILE = "model.safetensors"
# What a classifier's layers are called: torchvision's, and those of the repository.
_CLASSIFIERS = ("classifier.", "pre_logits.", "head.")


class VGG16(nn.Module):
    """Image (B, 3, H, W) to the last activations of its five blocks: relu1_2, 2_2, 3_3, 4_3 and 5_3.

    They have ``TAP_CHANNELS`` channels and sides of 1, 1/2, 1/4, 1/8 and 1/16 of the image, whose sides are at
    least 16. The image is normalised by the caller.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        taps: list[int] = []
        in_channels = 3
        for channels, depth in zip(TAP_CHANNELS, _CONVOLUTIONS, strict=True):
            if layers:
                layers.append(nn.MaxPool2d(2))
            for _ in range(depth):
                layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU()]
                in_channels = channels
            taps.append(len(layers))
        self.features = nn.Sequential(*layers)
        self._taps = taps

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, ...]:
        x = image_BCHW
        taps: list[Tensor] = []
        for count, layer in enumerate(self.features, start=1):
            x = layer(x)
            if count in self._taps:
                taps.append(x)
        return tuple(taps)


def load_vgg16(path: Path) -> VGG16:
    """The frozen network of a file (.pth, .pt, .ckpt, .safetensors) that has torchvision's names.

    Tensors of a classifier may be there and are left out.

    Raises:
        WeightsError: The file is malformed, or not exactly VGG-16.
        RefusedError: A pickle that holds more than tensors.
    """
    with torch.device("meta"):
        vgg = VGG16()
    return load_frozen(vgg, path, of="VGG-16", left_out=_CLASSIFIERS)


def fetch_vgg16() -> Path:
    """Torchvision's published weights (528 MB) from the hub, or from where they were kept before.

    Raises:
        HubError: The repository cannot be reached.
        ResourceError: The disk is full.
    """
    return hub.fetch(REPOSITORY, allow=(_FILE,)) / _FILE
