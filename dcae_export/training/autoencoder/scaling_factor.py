"""Measure what latents are multiplied with before a diffusion sees them."""

import math

import torch
from torch import Tensor

from dcae_export.models.network import NetworkConfig, build
from dcae_export.training.engine.protocols import Data


@torch.inference_mode()
def measure_scaling_factor(
    config: NetworkConfig,
    state: dict[str, Tensor],
    pictures: Data[Tensor],
    *,
    count: int,
    device: torch.device,
) -> float:
    """1 / RMS of the latents of ``count`` pictures, summed in float64 (DC-AE, arXiv 2410.10733, section 4.1).

    Args:
        config: The autoencoder.
        state: Its weights, in our keys.
        pictures: The training's, cut as for evaluation.
        count: How many; a whole number of batches is taken.
        device: Where to encode.
    """
    # The weights are shared: those of a training are gigabytes already.
    with torch.device("meta"):
        network = build(config)
    network.load_state_dict(state, strict=True, assign=True)
    encoder = network.encoder.eval().to(device)
    squares = numbers = seen = 0.0
    for images, _ in pictures.batches({}):
        latents = encoder(images.to(device)).double()
        squares += float(latents.square().sum())
        numbers += latents.numel()
        seen += len(images)
        if seen >= count:
            break
    return 1.0 / math.sqrt(squares / numbers) if squares else math.inf
