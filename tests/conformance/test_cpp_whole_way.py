"""From training to a picture: trained, exported, run by Python and by C++, and held to PyTorch."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from autoencoders import small_checkpoint
from cpp_runtime import built, onnxruntime_library, run
from export_factory import TINY
from program import dcae
from tiny_diffusion_training import SIDE, write_latents, write_recipe

from dcae_export.models.key_map import Layout
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.source import resolve_transformer
from dcae_export.models.transformer_weights import load_transformer
from dcae_export.models.weights import load_autoencoder, load_checkpoint, save_checkpoint
from dcae_export.pictures.picture_file import read_picture
from dcae_export.sampling.noise import latent_noise

pytestmark = pytest.mark.integration

LABEL, SEED, GUIDANCE, STEPS = 1, 5, 2.0, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder, a transformer that was trained on its latents, and the bundle of both."""
    folder = tmp_path_factory.mktemp("whole-way")
    save_checkpoint(small_checkpoint(TINY, seed=3), folder / "autoencoder", layout=Layout.DIFFUSERS)
    own = LatentSource.of(load_checkpoint(folder / "autoencoder"))
    write_latents(folder / "latents", source=own)
    recipe = write_recipe(folder / "usit.yaml", "usit")
    dcae("train", "diffusion", recipe, "--data", folder / "latents", "--out", folder / "run")
    dcae(
        *("export", "--weights", folder / "autoencoder", "--transformer-weights", folder / "run"),
        *("--sampler", f"euler:{STEPS}", "--simplifier", "none", "--out", folder / "bundle"),
    )
    return folder


@torch.no_grad()
def picture_of_pytorch(folder: Path) -> np.ndarray:
    """Euler's method along the flow, written down anew."""
    autoencoder = load_checkpoint(folder / "autoencoder")
    network = load_transformer(
        resolve_transformer(str(folder / "run"), name=None, autoencoder=None)
    )
    manifest = json.loads((folder / "bundle" / "manifest.json").read_text())
    labels = torch.tensor([LABEL, manifest["conditioning"]["null_label"]])
    shape = (TINY.latent_channels, SIDE, SIDE)
    x = torch.as_tensor(latent_noise(SEED, stream=0, shape=shape))[None]
    for step in range(STEPS):
        velocity, null = network(x.repeat(2, 1, 1, 1), torch.full((2,), step / STEPS), labels)
        x = x + (null + GUIDANCE * (velocity - null)) / STEPS
    image = load_autoencoder(autoencoder).decoder(x / autoencoder.config.scaling_factor)
    levels = (image * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    return levels[0].permute(1, 2, 0).numpy()


def test_what_was_trained_gives_the_same_pixels_in_python_and_cpp_and_those_of_pytorch(
    folder: Path,
) -> None:
    request = (
        *("generate", folder / "bundle", "--label", str(LABEL), "--seed", str(SEED)),
        *("--guidance", str(GUIDANCE), "--threads", "1"),
    )
    runtime = built("release")
    library = onnxruntime_library()
    run(runtime, *request, "--onnxruntime", library, "--out", folder / "cpp.png")
    dcae(*request, "--out", folder / "python.png")
    of_cpp, of_python = (read_picture(folder / name) for name in ("cpp.png", "python.png"))
    assert np.array_equal(of_cpp, of_python)
    of_pytorch = picture_of_pytorch(folder)
    assert of_cpp.shape == of_pytorch.shape
    # float32 in another summation order turns the rounding of few pixels by one level.
    assert np.abs(of_cpp.astype(int) - of_pytorch).max() <= 1
    assert of_cpp.std() > 1
