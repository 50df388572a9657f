"""Draw samples of a training: each picture, its reconstruction and their difference."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcae_export.pictures.pixels import to_uint8
from dcae_export.pictures.sheet import side_by_side
from dcae_export.pictures.tile import tile


def sample_sheet(images: Tensor, reconstructions: Tensor, *, step: int) -> NDArray[np.uint8]:
    """Draw pictures beside their reconstructions and error maps, with PSNR and SSIM.

    Args:
        images: (N, 3, H, W), nominally in [-1, 1], at least 11 pixels a side.
        reconstructions: The same shape. Where it is not finite it is drawn black, and the title says so.
        step: What the title names.

    Returns:
        (sheet height, sheet width, 3) RGB.
    """
    damaged = [not bool(one.isfinite().all()) for one in reconstructions]
    pairs = zip(_pictures(images), _pictures(reconstructions), damaged, strict=True)
    sheets = [
        side_by_side(original, back, label=f"step {step}{', not finite' if is_damaged else ''}")
        for original, back, is_damaged in pairs
    ]
    return tile(np.stack(sheets))


def _pictures(images: Tensor) -> NDArray[np.uint8]:
    finite = images.detach().float().nan_to_num(nan=-1.0, posinf=-1.0, neginf=-1.0)
    return to_uint8(finite.cpu().numpy())
