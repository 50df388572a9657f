"""The perceptual term of a reconstruction loss: LPIPS, or one that needs no weights.

Both compare images (B, 3, H, W) in [-1, 1] with their reconstructions, which need not be clamped, and give a scalar,
the mean over the batch: 0 where they are equal. Both say by ``describe`` what they are.
"""

import importlib.util
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from dcae_export.errors import WeightsError
from dcae_export.models.alexnet import AlexNet
from dcae_export.models.key_map import Entry
from dcae_export.models.state import collect
from dcae_export.models.tensor_files import read_tensors
from dcae_export.models.vgg import TAP_CHANNELS, VGG16, load_vgg16
from dcae_export.training.autoencoder.multiscale_ssim import EXPONENTS, multiscale_ssim, num_scales

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
# Under the root, so that the gradient is finite where all features of a position are 0.
_EPS = 1e-8
_HEADS = Path("functional", "image", "lpips_models")


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity (arXiv 1801.03924, equation 1), version 0.1 of its weights.

    Features of both images are normalised at each position to unit length; their squared differences are weighted
    per channel, summed, and averaged over positions. All of it is frozen. Convolutions run in autocast's precision
    where that is on, the distances in float32.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: VGG16 | AlexNet, heads: tuple[Tensor, ...], *, name: str) -> None:
        """Join the features and the weights of their channels.

        Args:
            backbone: The features.
            heads: For each of the five taps a weight per channel, (C,).
            name: What ``describe`` calls the features and their weights.
        """
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ParameterList(heads)
        self._name = name
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None])
        self.eval().requires_grad_(requires_grad=False)

    @classmethod
    def load(cls, vgg: Path) -> Self:
        """The loss of a training, on VGG-16: its weights from a file, the published heads from torchmetrics.

        Args:
            vgg: torchvision's published state dict of ``vgg16``, or ``models.vgg.fetch_vgg16()``.

        Raises:
            WeightsError: The file is malformed, or not exactly VGG-16.
            RefusedError: A pickle that holds more than tensors.
            ModuleNotFoundError: torchmetrics is not installed.
        """
        heads = published_heads("vgg", TAP_CHANNELS)
        return cls(load_vgg16(vgg), heads, name=f"VGG-16 ({vgg.name})")

    def describe(self) -> str:
        """What a run prints of its perceptual term."""
        return f"LPIPS on {self._name}"

    def forward(self, image_BCHW: Tensor, reconstruction_BCHW: Tensor) -> Tensor:
        return self.distances(image_BCHW, reconstruction_BCHW).mean()

    def distances(self, image_BCHW: Tensor, reconstruction_BCHW: Tensor) -> Tensor:
        """The distance of each image to its reconstruction, (B,)."""
        with torch.no_grad():
            expected = self._features(image_BCHW)
        actual = self._features(reconstruction_BCHW)
        distances_B = [
            ((a - e).square() * weight[:, None, None]).sum(dim=1).mean(dim=(1, 2))
            for a, e, weight in zip(actual, expected, self.heads, strict=True)
        ]
        return torch.stack(distances_B).sum(dim=0)

    def _features(self, image_BCHW: Tensor) -> list[Tensor]:
        taps = self.backbone((image_BCHW - self.shift) / self.scale)
        return [_unit_length(tap.float()) for tap in taps]


class Structure(nn.Module):
    """1 - multi-scale SSIM, plus the mean absolute difference of horizontal and of vertical gradients.

    Needs no weights. Gradients are differences of neighbouring pixels, in the images' units.
    """

    def __init__(self, *, side: int) -> None:
        """Choose the scales for images whose shorter side has ``side`` pixels.

        Raises:
            ConfigError: Fewer than 11.
        """
        super().__init__()
        self._scales = num_scales(side)

    def describe(self) -> str:
        """What a run prints of its perceptual term."""
        held = f"{self._scales} of {len(EXPONENTS)} scales"
        return f"1 - multi-scale SSIM ({held}) and differences of gradients, without weights"

    def forward(self, image_BCHW: Tensor, reconstruction_BCHW: Tensor) -> Tensor:
        image, reconstruction = image_BCHW.float(), reconstruction_BCHW.float()
        alike_B = multiscale_ssim((image + 1) / 2, (reconstruction + 1) / 2, scales=self._scales)
        error = reconstruction - image
        gradients = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        return 1 - alike_B.mean() + gradients


Perceptual = LPIPS | Structure


def published_heads(
    backbone: Literal["vgg", "alex"], channels: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """The weights of LPIPS 0.1 per channel, from the wheel of torchmetrics, none of whose code is run.

    Args:
        backbone: What they were trained on.
        channels: How many its taps have.

    Raises:
        WeightsError: The wheel's file is damaged.
        ModuleNotFoundError: torchmetrics is not installed.
    """
    package = importlib.util.find_spec("torchmetrics")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'torchmetrics'", name="torchmetrics")
    path = Path(package.origin).parent / _HEADS / f"{backbone}.pth"
    entries = tuple(
        Entry(
            key=str(block),
            shape=(width,),
            names=(f"lin{block}.model.1.weight",),
            stored_shape=(1, width, 1, 1),
        )
        for block, width in enumerate(channels)
    )
    try:
        return tuple(collect(read_tensors(path), entries, of=f"LPIPS on {backbone}").values())
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}; install torchmetrics again") from error


def _unit_length(features_BCHW: Tensor) -> Tensor:
    return features_BCHW * torch.rsqrt(features_BCHW.square().sum(dim=1, keepdim=True) + _EPS)
