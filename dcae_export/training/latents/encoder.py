"""Pictures to the latents that a diffusion is trained on."""

import math
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.sd_vae import SDVAE
from dcae_export.models.weights import AutoencoderCheckpoint, load_autoencoder
from dcae_export.sampling.noise import normals


class LatentEncoder:
    """An autoencoder's encoder in float32, and its scaling factor.

    DC-AE's latent is the encoder's output (arXiv 2410.10733). SD-VAE's is drawn from its posterior, with normal
    numbers that the seed and the picture's number decide, on any device and in any batch.
    """

    def __init__(
        self, checkpoint: AutoencoderCheckpoint, device: torch.device, *, seed: int
    ) -> None:
        """Put the encoder of a checkpoint that has a scaling factor on a device."""
        assert checkpoint.config.scaling_factor is not None
        self._network = load_autoencoder(checkpoint)
        self._network.encoder.to(device)
        self._scaling_factor = checkpoint.config.scaling_factor
        self._device = device
        self._seed = seed

    @torch.inference_mode()
    def __call__(self, images: Tensor, numbers: tuple[int, ...]) -> Tensor:
        """Latents of pictures, times the scaling factor.

        Args:
            images: (B, 3, H, W) float32 in [-1, 1].
            numbers: The picture's number of each.

        Returns:
            (B, C, h, w) float32, on the CPU.
        """
        images = images.to(self._device)
        match self._network:
            case Autoencoder() as network:
                latents = network.encoder(images)
            case SDVAE() as network:
                mean, deviation = network.encoder.posterior(images)
                latents = mean + deviation * self._noise(numbers, tuple(mean.shape[1:]))
            case _:
                assert_never(self._network)
        return (latents * self._scaling_factor).cpu()

    def _noise(self, numbers: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
        count = math.prod(shape)
        drawn = [normals(self._seed, stream=number, count=count) for number in numbers]
        noise = torch.from_numpy(np.stack(drawn))  # pyright: ignore[reportUnknownMemberType]
        return noise.reshape(len(numbers), *shape).to(self._device)
