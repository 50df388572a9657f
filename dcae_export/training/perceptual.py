"""The perceptual term of a reconstruction loss: LPIPS, or one that needs no weights.

Both compare images (B, 3, H, W) in [-1, 1] with their reconstructions, which need not be clamped, and give a scalar,
the mean over the batch: 0 where they are equal. Both say by ``describe`` what they are.
"""

import importlib.util
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from dcae_export.errors import WeightsError
from dcae_export.models.key_map import Entry
from dcae_export.models.state import collect
from dcae_export.models.tensor_files import read_tensors
from dcae_export.models.vgg import TAP_CHANNELS, VGG16, load_vgg16
from dcae_export.training.multiscale_ssim import EXPONENTS, multiscale_ssim, num_scales

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
# Under the root, so that the gradient is finite where all features of a position are 0.
_EPS = 1e-8
_HEADS = Path("functional", "image", "lpips_models", "vgg.pth")


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity on VGG-16 (arXiv 1801.03924, equation 1), version 0.1 of its weights.

    Features of both images are normalised at each position to unit length; their squared differences are weighted
    per channel, summed, and averaged over positions. All of it is frozen. Convolutions run in autocast's precision
    where that is on, the distances in float32.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, vgg: VGG16, heads: tuple[Tensor, ...], *, name: str) -> None:
        """Join the features and the weights of their channels.

        Args:
            vgg: The features.
            heads: For each of the five blocks a weight per channel, (C,).
            name: What ``describe`` calls the features' weights.
        """
        super().__init__()
        self.vgg = vgg
        self.heads = nn.ParameterList(heads)
        self._name = name
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None])
        self.eval().requires_grad_(requires_grad=False)

    @classmethod
    def load(cls, vgg: Path) -> Self:
        """LPIPS on the weights of VGG-16 in a file, with the published heads, which torchmetrics brings.

        Args:
            vgg: torchvision's published state dict of ``vgg16``, or ``models.vgg.fetch_vgg16()``.

        Raises:
            WeightsError: The file is malformed, or not exactly VGG-16.
            RefusedError: A pickle that holds more than tensors.
            ModuleNotFoundError: torchmetrics is not installed.
        """
        return cls(load_vgg16(vgg), _published_heads(), name=vgg.name)

    def describe(self) -> str:
        """What a run prints of its perceptual term."""
        return f"LPIPS on VGG-16 ({self._name})"

    def forward(self, image_BCHW: Tensor, reconstruction_BCHW: Tensor) -> Tensor:
        with torch.no_grad():
            expected = self._features(image_BCHW)
        actual = self._features(reconstruction_BCHW)
        distances = [
            ((a - e).square() * weight[:, None, None]).sum(dim=1).mean()
            for a, e, weight in zip(actual, expected, self.heads, strict=True)
        ]
        return torch.stack(distances).sum()

    def _features(self, image_BCHW: Tensor) -> list[Tensor]:
        taps = self.vgg((image_BCHW - self.shift) / self.scale)
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


def _unit_length(features_BCHW: Tensor) -> Tensor:
    return features_BCHW * torch.rsqrt(features_BCHW.square().sum(dim=1, keepdim=True) + _EPS)


def _published_heads() -> tuple[Tensor, ...]:
    """The weights of LPIPS 0.1 per channel, from the wheel of torchmetrics, none of whose code is run."""
    package = importlib.util.find_spec("torchmetrics")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'torchmetrics'", name="torchmetrics")
    path = Path(package.origin).parent / _HEADS
    entries = tuple(
        Entry(
            key=str(block),
            shape=(channels,),
            names=(f"lin{block}.model.1.weight",),
            stored_shape=(1, channels, 1, 1),
        )
        for block, channels in enumerate(TAP_CHANNELS)
    )
    try:
        return tuple(collect(read_tensors(path), entries, of="LPIPS on VGG-16").values())
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}; install torchmetrics again") from error
