"""Published sizes of U-ViT: gigabytes and minutes, so run on purpose; DiT's are in test_dit_parity."""

import numpy as np
import pytest
import torch
from small_transformers import transformer_inputs
from uvit_in_numpy import uvit

from dcae_export.models.transformer_weights import load_transformer, random_transformer_checkpoint
from dcae_export.parity import FP32, difference

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.parametrize(("name", "autoencoder"), [("uvit-s", "f32"), ("uvit-h", "f64")])
def test_the_full_uvit_computes_what_its_description_says(name, autoencoder):
    checkpoint = random_transformer_checkpoint(name, autoencoder=autoencoder, seed=1)
    latent, timestep, label = transformer_inputs(checkpoint.config)
    with torch.inference_mode():
        actual = load_transformer(checkpoint)(latent, timestep, label).numpy()
    expected = uvit(
        {key: tensor.numpy().astype(np.float64) for key, tensor in checkpoint.state.items()},
        latent.numpy().astype(np.float64),
        timestep.numpy().astype(np.float64),
        label.numpy(),
        patch=checkpoint.config.patch,
        heads=checkpoint.config.heads,
    )
    found = difference(actual, expected)
    assert found.within(FP32), str(found)
    assert 0.1 < actual.std() < 10
