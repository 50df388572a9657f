"""Pictures as Inception's features, the way FID is measured."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from dcae_export.evaluation.metric_device import plain_float32, to_unit_range
from dcae_export.evaluation.metric_networks import MetricNetwork
from dcae_export.models.fid_inception import SIDE, FIDInception


class InceptionFeatures:
    """Takes pictures of 8 bits, as pytorch-fid does: to [0, 1], resized to 299 x 299, to [-1, 1], the last pool.

    Resizing is bilinear and without antialiasing, whichever the size: it aliases, and published figures do.
    """

    def __init__(self, inception: MetricNetwork[FIDInception], *, device: torch.device) -> None:
        self.source = inception.source
        self.is_random = inception.is_random
        self._network = inception.network.to(device)
        self._device = device

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features of pictures.

        Args:
            images: (N, H, W, 3) RGB, 0 to 255.

        Returns:
            (N, 2048).
        """
        with plain_float32():
            resized = functional.interpolate(
                to_unit_range(images, self._device),
                size=(SIDE, SIDE),
                mode="bilinear",
                align_corners=False,
                antialias=False,
            )
            return self._network(2 * resized - 1).cpu().numpy()
