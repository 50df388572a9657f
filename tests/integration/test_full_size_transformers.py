"""Published sizes of the transformers: gigabytes and minutes, so run on purpose.

DiT-XL is held to diffusers in test_dit_parity.
"""

import numpy as np
import pytest
import torch
from small_transformers import transformer_inputs
from uvit_in_numpy import uvit

from dcae_export.export.graph_export import export_graph
from dcae_export.export.options import ExportOptions
from dcae_export.export.transformer_job import transformer_job
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.transformer_presets import BACKBONES
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


# A usit is a uvit that predicts something else.
SIZES = [name for name in BACKBONES if not name.startswith("usit")]


@pytest.mark.parametrize("name", SIZES)
def test_the_exported_transformer_computes_what_pytorch_does(name, spacious_folder):
    autoencoder = "f32" if name.startswith("dit") else "f64"
    checkpoint = random_transformer_checkpoint(name, autoencoder=autoencoder, seed=1)
    with torch.no_grad():
        exported = export_graph(
            transformer_job(checkpoint, ExportOptions(), PRESETS[preset_name(autoencoder)].config),
            spacious_folder,
            ExportOptions(),
            model_id="0" * 64,
            progress=lambda _: None,
        )
    # The gate ran the saved file in ONNX Runtime beside PyTorch, and would have raised.
    assert len(exported.parity) >= 2
    for record in exported.parity:
        assert record.relative_l2 <= FP32.relative_l2, f"{record.input}: {record.relative_l2:.1e}"
