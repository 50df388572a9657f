"""LPIPS against a derivation in NumPy; the term that needs no weights."""

import copy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from autoencoders import random_input, shrink
from numpy.lib.stride_tricks import sliding_window_view
from training_recipes import small_recipe

from dcae_export.errors import ConfigError, HubError, WeightsError
from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.presets import PRESETS
from dcae_export.models.random_weights import random_state
from dcae_export.models.tensor_files import read_tensors
from dcae_export.models.vgg import VGG16
from dcae_export.training.autoencoder import training as module
from dcae_export.training.autoencoder.multiscale_ssim import multiscale_ssim
from dcae_export.training.autoencoder.perceptual import LPIPS, Structure

WIDTHS = ([64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512])
PUBLISHED_HEADS = Path(
    find_spec("torchmetrics").origin, "..", "functional", "image", "lpips_models", "vgg.pth"
).resolve()


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory) -> Path:
    """Random weights as torchvision publishes its own, with a classifier's beside them."""
    with torch.device("meta"):
        vgg = VGG16()
    path = tmp_path_factory.mktemp("vgg") / "vgg16-random.pth"
    torch.save(random_state(vgg, seed=4) | {"classifier.0.weight": torch.zeros(3, 2)}, path)
    return path


@pytest.fixture(scope="module")
def lpips(vgg_file) -> LPIPS:
    return LPIPS.load(vgg_file)


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    image = random_input(2, 3, 16, 32).clamp(-1, 1)
    return image, (image + 0.2 * random_input(2, 3, 16, 32, seed=1)).clamp(-1, 1)


def features_in_numpy(state: dict[str, np.ndarray], image: np.ndarray) -> list[np.ndarray]:
    """The last activations of VGG-16's five blocks for one image (3, H, W), from the weights by number."""
    x, number, taps = image, 0, []
    for block, widths in enumerate(WIDTHS):
        if block:
            channels, height, width = x.shape
            x = x.reshape(channels, height // 2, 2, width // 2, 2).max(axis=(2, 4))
            number += 1
        for _ in widths:
            weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
            patches = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2))
            x = np.tensordot(weight, patches, axes=([1, 2, 3], [0, 3, 4])) + bias[:, None, None]
            x = np.maximum(x, 0)
            number += 2
        taps.append(x)
    return taps


def lpips_in_numpy(state, heads, image: np.ndarray, other: np.ndarray) -> float:
    shift = np.array([-0.030, -0.088, -0.188])[:, None, None]
    scale = np.array([0.458, 0.448, 0.450])[:, None, None]
    first, second = (features_in_numpy(state, (x - shift) / scale) for x in (image, other))
    total = 0.0
    for a, b, weight in zip(first, second, heads, strict=True):
        unit_a, unit_b = (x / np.sqrt((x**2).sum(axis=0)) for x in (a, b))
        total += np.tensordot(weight, (unit_a - unit_b) ** 2, axes=1).mean()
    return total


def test_lpips_is_what_numpy_makes_of_its_definition(lpips, vgg_file, pair):
    state = {name: tensor.double().numpy() for name, tensor in read_tensors(vgg_file).items()}
    published = read_tensors(PUBLISHED_HEADS)
    heads = [published[f"lin{n}.model.1.weight"].double().numpy().ravel() for n in range(5)]
    image, other = (x.double().numpy() for x in pair)
    expected = np.mean(
        [lpips_in_numpy(state, heads, *both) for both in zip(image, other, strict=True)]
    )
    assert expected > 1e-3
    assert lpips(*pair).item() == pytest.approx(expected, rel=1e-4)


def test_lpips_of_equal_images_is_zero(lpips, pair):
    assert lpips(pair[0], pair[0]).item() == 0.0


def test_lpips_passes_its_gradient_to_the_reconstruction_alone(lpips, pair):
    image, reconstruction = (x.clone().requires_grad_() for x in pair)
    lpips(image, reconstruction).backward()
    assert image.grad is None
    assert reconstruction.grad.isfinite().all()
    assert reconstruction.grad.any()
    assert all(parameter.grad is None for parameter in lpips.parameters())


def test_lpips_has_a_finite_gradient_where_no_feature_is_active(lpips):
    silent = copy.deepcopy(lpips)
    for parameter in silent.backbone.parameters():
        parameter.zero_()
    image = torch.zeros(1, 3, 16, 16, requires_grad=True)
    silent(torch.ones(1, 3, 16, 16), image).backward()
    assert image.grad.isfinite().all()


def test_lpips_keeps_its_distances_in_float32_under_autocast(lpips, pair):
    exact = lpips(*pair)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = lpips(*pair)
    assert found.dtype is torch.float32
    # Features of eight bits, thirteen convolutions deep.
    assert found.item() == pytest.approx(exact.item(), rel=0.05)


def test_lpips_says_which_weights_it_has(lpips):
    assert lpips.describe() == "LPIPS on VGG-16 (vgg16-random.pth)"


def test_weights_that_are_not_vgg_16s_are_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    missing = r"other\.pth: .* weights of VGG-16: features\.0\.bias is missing; .*; and 15 more$"
    with pytest.raises(WeightsError, match=missing):
        LPIPS.load(tmp_path / "other.pth")


def test_without_torchmetrics_the_missing_module_is_named(vgg_file, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError) as caught:
        LPIPS.load(vgg_file)
    assert caught.value.name == "torchmetrics"


# ------------------------------------------------------------------- the term without weights


def test_structure_of_equal_images_is_zero():
    image = random_input(2, 3, 64, 64).clamp(-1, 1)
    assert Structure(side=64)(image, image).item() == pytest.approx(0.0, abs=1e-6)


def test_structure_adds_the_differences_of_gradients():
    image, edge = torch.zeros(1, 1, 12, 12), torch.zeros(1, 1, 12, 12)
    edge[..., 6:] = 0.5
    edge[..., 6:, 6:] = 1.0
    alike = multiscale_ssim((image + 1) / 2, (edge + 1) / 2, scales=1)
    # Along each row one step among eleven, along the right half's columns another.
    gradients = (6 * 0.5 + 6 * 1.0) / (12 * 11) + 6 * 0.5 / (11 * 12)
    assert Structure(side=12)(image, edge).item() == pytest.approx(1 - alike.item() + gradients)


def test_structure_falls_as_a_reconstruction_comes_near():
    image = random_input(1, 3, 64, 64).clamp(-1, 1)
    structure = Structure(side=64)
    far, near = (structure(image, share * image).item() for share in (0.0, 0.9))
    assert 0 < near < far


def test_structure_says_how_many_scales_it_has():
    assert Structure(side=256).describe().startswith("1 - multi-scale SSIM (5 of 5 scales)")
    assert Structure(side=64).describe().startswith("1 - multi-scale SSIM (3 of 5 scales)")


def test_structure_refuses_pictures_below_its_window():
    with pytest.raises(ConfigError, match="8 px is too small"):
        Structure(side=8)


def test_lpips_out_of_reach_of_the_hub_names_the_two_ways_on(tmp_path, monkeypatch):
    def fail():
        raise HubError("timm/vgg16.tv_in1k: the hub cannot be reached")

    monkeypatch.setattr(module, "fetch_vgg16", fail)
    recipe = small_recipe(tmp_path, **{"losses.perceptual.weight": "0.1"})
    network = Autoencoder(shrink(PRESETS[recipe.variant].config))
    with pytest.raises(HubError, match="the hub cannot be reached") as raised:
        module.AutoencoderTraining(network, recipe, samples=torch.zeros(1, 3, 32, 32))
    for way in ("losses.perceptual.vgg=PATH", "losses.perceptual.kind=structure"):
        assert way in str(raised.value)
