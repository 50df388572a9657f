import numpy as np
import torch
from autoencoders import small_checkpoint
from tiny_encodings import CONFIG, noise

from dcae_export.models.weights import load_autoencoder
from dcae_export.pictures.pixels import to_tensor
from dcae_export.training.latents.encoder import LatentEncoder

CPU = torch.device("cpu")


def test_latents_of_dc_ae_are_its_encoders_times_the_scaling_factor():
    checkpoint = small_checkpoint(CONFIG)
    images = torch.from_numpy(to_tensor(np.stack([noise(number) for number in range(2)])))
    latents = LatentEncoder(checkpoint, CPU, seed=0)(images, (0, 1))
    with torch.no_grad():
        expected = load_autoencoder(checkpoint).encode(images) * 0.2889
    assert CONFIG.scaling_factor == 0.2889
    assert latents.dtype == torch.float32
    assert torch.equal(latents, expected)
    # Nothing is drawn, so seed and number change nothing.
    assert torch.equal(LatentEncoder(checkpoint, CPU, seed=9)(images, (7, 8)), latents)
