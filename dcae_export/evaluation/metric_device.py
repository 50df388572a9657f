"""Where the networks of metrics compute, in plain float32."""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcae_export.errors import ProviderError


def find_device(name: str) -> torch.device:
    """The device "cpu" or "cuda".

    Raises:
        ProviderError: There is no such device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ProviderError(
            "--device cuda: PyTorch sees no NVIDIA GPU here; leave --device out to compute on the CPU"
        )
    return torch.device(name)


@contextmanager
def plain_float32() -> Generator[None]:
    """Compute without gradients, and convolutions without TensorFloat-32, whose ten bits cuDNN takes by itself."""
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ),
    ):
        yield


def to_unit_range(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Pictures (N, H, W, 3), 0 to 255, as (N, 3, H, W) float32 in [0, 1]."""
    levels = torch.from_numpy(images).to(device)  # pyright: ignore[reportUnknownMemberType]
    return levels.permute(0, 3, 1, 2).float() / 255
