"""LPIPS of pictures and their reconstructions, on AlexNet."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from dcae_export.evaluation.metric_device import plain_float32, to_unit_range
from dcae_export.evaluation.metric_networks import MetricNetwork
from dcae_export.models.alexnet import ALEXNET_CHANNELS, AlexNet
from dcae_export.training.autoencoder.perceptual import LPIPS, published_heads


class LPIPSDistances:
    """Takes pictures of 8 bits, with the heads that torchmetrics brings; sides have at least 31 pixels."""

    def __init__(self, alexnet: MetricNetwork[AlexNet], *, device: torch.device) -> None:
        """Join the network and the published heads.

        Raises:
            ModuleNotFoundError: torchmetrics is not installed.
            WeightsError: Its file of the heads is damaged.
        """
        self.source = alexnet.source
        self.is_random = alexnet.is_random
        heads = published_heads("alex", ALEXNET_CHANNELS)
        self._lpips = LPIPS(alexnet.network, heads, name=f"AlexNet ({alexnet.source})").to(device)
        self._device = device

    def __call__(
        self, images: NDArray[np.uint8], reconstructions: NDArray[np.uint8]
    ) -> list[float]:
        """The distance of each picture to its reconstruction.

        Args:
            images: (N, H, W, 3) RGB, 0 to 255.
            reconstructions: The same shape.
        """
        with plain_float32():
            both = (2 * to_unit_range(x, self._device) - 1 for x in (images, reconstructions))
            distances = self._lpips.distances(*both)
            return cast("list[float]", distances.tolist())  # pyright: ignore[reportUnknownMemberType]
