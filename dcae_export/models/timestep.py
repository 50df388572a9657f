"""Sines and cosines of a diffusion timestep."""

import math

import numpy as np
import torch
from torch import Tensor, nn

MAX_PERIOD = 10000.0


class TimestepFeatures(nn.Module):
    """Timestep (B,) to features (B, width): [cos(t f_k), sin(t f_k)], f_k = 10000^(-k / (width / 2)).

    The angle reaches the largest timestep, 1000 in these networks: in float16 it would be off by up to a
    quarter of a radian, so the frequencies are float32. A graph of lower precision takes the features as an input instead.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        frequencies = np.exp(-math.log(MAX_PERIOD) * np.arange(half) / half)
        # The device is named: a buffer that no checkpoint holds must have its values under torch.device("meta") too.
        values = torch.as_tensor(frequencies.astype(np.float32), device="cpu")
        self.register_buffer("frequencies", values, persistent=False)

    def forward(self, timestep: Tensor) -> Tensor:
        angle = timestep[:, None] * self.frequencies
        return torch.cat([angle.cos(), angle.sin()], dim=-1)
