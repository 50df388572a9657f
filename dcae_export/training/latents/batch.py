"""Latents of several pictures, with their labels where they have any."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentBatch:
    """``latents`` (B, C, h, w) float32, times the scaling factor; ``labels`` (B,) int64, None without classes."""

    latents: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.latents)

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Self:
        """The same on a device; with ``non_blocking`` the host does not wait for it."""
        labels = self.labels
        return type(self)(
            latents=self.latents.to(device, non_blocking=non_blocking),
            labels=None if labels is None else labels.to(device, non_blocking=non_blocking),
        )
