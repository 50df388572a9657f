"""Inception v3 as FID was defined with it: TensorFlow's graph of 2015-12-05, in PyTorch.

The network of Szegedy et al. (arXiv 1512.00567) with what that graph (``inception-2015-12-05.tgz``) has and
torchvision's ``inception_v3`` has not:

- average pools leave the padding out of their count;
- the second block on the last grid (``Mixed_7c``) pools by maximum where the first (``Mixed_7b``) averages;
- 1008 outputs.

Keys are those of the published state dict, ``pt_inception-2015-12-05-6726825d.pth`` of pytorch-fid.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from dcae_export.models.frozen import draw_frozen, load_frozen

FEATURES = 2048
SIDE = 299
"""Pixels of the image's sides."""

_OUTPUTS = 1008
_EPS = 0.001

_Kernel = tuple[int, int]
_Pool = Callable[[Tensor], Tensor]


class FIDInception(nn.Module):
    """Image (B, 3, 299, 299) in [-1, 1] to the means of its last grid, (B, 2048), none of them negative.

    ``fc`` takes no part in them. It is the one tensor whose shape tells this network's weights from those of
    torchvision, with which a Fréchet distance would be another number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, (3, 3), stride=2)
        self.Conv2d_2a_3x3 = _Convolution(32, 32, (3, 3))
        self.Conv2d_2b_3x3 = _Convolution(32, 64, (3, 3), padding=(1, 1))
        self.Conv2d_3b_1x1 = _Convolution(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = _Convolution(80, 192, (3, 3))
        self.Mixed_5b = _MixedA(192, pool_channels=32)
        self.Mixed_5c = _MixedA(256, pool_channels=64)
        self.Mixed_5d = _MixedA(288, pool_channels=64)
        self.Mixed_6a = _ReductionA(288)
        self.Mixed_6b = _MixedB(768, inner_channels=128)
        self.Mixed_6c = _MixedB(768, inner_channels=160)
        self.Mixed_6d = _MixedB(768, inner_channels=160)
        self.Mixed_6e = _MixedB(768, inner_channels=192)
        self.Mixed_7a = _ReductionB(768)
        self.Mixed_7b = _MixedC(1280, pool=_mean_pool)
        self.Mixed_7c = _MixedC(FEATURES, pool=_max_pool)
        self.fc = nn.Linear(FEATURES, _OUTPUTS)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(image_BCHW)))
        x = functional.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = functional.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6a(x)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean(dim=(2, 3))


def load_fid_inception(path: Path) -> FIDInception:
    """The frozen network of a file (.pth, .pt, .ckpt, .safetensors) that has pytorch-fid's names.

    Raises:
        WeightsError: The file is malformed, or not exactly this network: that of torchvision, for one.
        RefusedError: A pickle that holds more than tensors.
    """
    return load_frozen(_on_meta(), path, of="FID's Inception")


def draw_fid_inception(*, seed: int) -> FIDInception:
    """The frozen network with random weights, for trials."""
    return draw_frozen(_on_meta(), seed=seed)


class _Convolution(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: _Kernel,
        *,
        stride: int = 1,
        padding: _Kernel = (0, 0),
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=padding, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=_EPS)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x_BCHW)))


class _MixedA(nn.Module):
    """1x1, 5x5, two 3x3 and a mean pool, side by side, on the grid of 35 x 35."""

    def __init__(self, in_channels: int, *, pool_channels: int) -> None:
        super().__init__()
        self.branch1x1 = _Convolution(in_channels, 64, (1, 1))
        self.branch5x5_1 = _Convolution(in_channels, 48, (1, 1))
        self.branch5x5_2 = _Convolution(48, 64, (5, 5), padding=(2, 2))
        self.branch3x3dbl_1 = _Convolution(in_channels, 64, (1, 1))
        self.branch3x3dbl_2 = _Convolution(64, 96, (3, 3), padding=(1, 1))
        self.branch3x3dbl_3 = _Convolution(96, 96, (3, 3), padding=(1, 1))
        self.branch_pool = _Convolution(in_channels, pool_channels, (1, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        branches = (
            self.branch1x1(x_BCHW),
            self.branch5x5_2(self.branch5x5_1(x_BCHW)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x_BCHW))),
            self.branch_pool(_mean_pool(x_BCHW)),
        )
        return torch.cat(branches, dim=1)


class _ReductionA(nn.Module):
    """From 35 x 35 to 17 x 17."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = _Convolution(in_channels, 384, (3, 3), stride=2)
        self.branch3x3dbl_1 = _Convolution(in_channels, 64, (1, 1))
        self.branch3x3dbl_2 = _Convolution(64, 96, (3, 3), padding=(1, 1))
        self.branch3x3dbl_3 = _Convolution(96, 96, (3, 3), stride=2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        branches = (
            self.branch3x3(x_BCHW),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x_BCHW))),
            functional.max_pool2d(x_BCHW, 3, stride=2),
        )
        return torch.cat(branches, dim=1)


class _MixedB(nn.Module):
    """1x1, one and two 7x7 cut into rows and columns, and a mean pool, on the grid of 17 x 17."""

    def __init__(self, in_channels: int, *, inner_channels: int) -> None:
        super().__init__()
        inner = inner_channels
        self.branch1x1 = _Convolution(in_channels, 192, (1, 1))
        self.branch7x7_1 = _Convolution(in_channels, inner, (1, 1))
        self.branch7x7_2 = _Convolution(inner, inner, (1, 7), padding=(0, 3))
        self.branch7x7_3 = _Convolution(inner, 192, (7, 1), padding=(3, 0))
        self.branch7x7dbl_1 = _Convolution(in_channels, inner, (1, 1))
        self.branch7x7dbl_2 = _Convolution(inner, inner, (7, 1), padding=(3, 0))
        self.branch7x7dbl_3 = _Convolution(inner, inner, (1, 7), padding=(0, 3))
        self.branch7x7dbl_4 = _Convolution(inner, inner, (7, 1), padding=(3, 0))
        self.branch7x7dbl_5 = _Convolution(inner, 192, (1, 7), padding=(0, 3))
        self.branch_pool = _Convolution(in_channels, 192, (1, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x_BCHW)))
        branches = (
            self.branch1x1(x_BCHW),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x_BCHW))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(_mean_pool(x_BCHW)),
        )
        return torch.cat(branches, dim=1)


class _ReductionB(nn.Module):
    """From 17 x 17 to 8 x 8."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = _Convolution(in_channels, 192, (1, 1))
        self.branch3x3_2 = _Convolution(192, 320, (3, 3), stride=2)
        self.branch7x7x3_1 = _Convolution(in_channels, 192, (1, 1))
        self.branch7x7x3_2 = _Convolution(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = _Convolution(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = _Convolution(192, 192, (3, 3), stride=2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x_BCHW)))
        branches = (
            self.branch3x3_2(self.branch3x3_1(x_BCHW)),
            self.branch7x7x3_4(seven),
            functional.max_pool2d(x_BCHW, 3, stride=2),
        )
        return torch.cat(branches, dim=1)


class _MixedC(nn.Module):
    """1x1, 3x3s whose rows and columns stand side by side, and a pool, on the grid of 8 x 8."""

    def __init__(self, in_channels: int, *, pool: _Pool) -> None:
        super().__init__()
        self.branch1x1 = _Convolution(in_channels, 320, (1, 1))
        self.branch3x3_1 = _Convolution(in_channels, 384, (1, 1))
        self.branch3x3_2a = _Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = _Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = _Convolution(in_channels, 448, (1, 1))
        self.branch3x3dbl_2 = _Convolution(448, 384, (3, 3), padding=(1, 1))
        self.branch3x3dbl_3a = _Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = _Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = _Convolution(in_channels, 192, (1, 1))
        self._pool = pool

    def forward(self, x_BCHW: Tensor) -> Tensor:
        single = self.branch3x3_1(x_BCHW)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x_BCHW))
        branches = (
            self.branch1x1(x_BCHW),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(self._pool(x_BCHW)),
        )
        return torch.cat(branches, dim=1)


def _mean_pool(x_BCHW: Tensor) -> Tensor:
    return functional.avg_pool2d(x_BCHW, 3, stride=1, padding=1, count_include_pad=False)


def _max_pool(x_BCHW: Tensor) -> Tensor:
    return functional.max_pool2d(x_BCHW, 3, stride=1, padding=1)


def _on_meta() -> FIDInception:
    with torch.device("meta"):
        return FIDInception()
