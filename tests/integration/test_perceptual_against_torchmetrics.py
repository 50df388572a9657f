"""LPIPS and SSIM against torchmetrics' own code, fed with our VGG-16 in place of torchvision's."""

from pathlib import Path

import pytest
import torch
from autoencoders import random_input

from dcae_export.models.random_weights import random_state
from dcae_export.models.vgg import VGG16, load_vgg16
from dcae_export.training.autoencoder.perceptual import LPIPS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def vgg_file(tmp_path) -> Path:
    with torch.device("meta"):
        vgg = VGG16()
    torch.save(random_state(vgg, seed=4), tmp_path / "vgg16.pth")
    return tmp_path / "vgg16.pth"


def test_lpips_and_its_gradient_are_those_of_torchmetrics(vgg_file, monkeypatch):
    from torchmetrics.functional.image import lpips as theirs  # noqa: PLC0415

    features = load_vgg16(vgg_file).features
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda _net, _pretrained: features)
    reference = theirs._LPIPS(net="vgg")
    ours = LPIPS.load(vgg_file)
    image = random_input(2, 3, 64, 48).clamp(-1, 1)
    reconstruction = (image + 0.2 * random_input(2, 3, 64, 48, seed=1)).requires_grad_()
    expected = reference(image, reconstruction).mean()
    found = ours(image, reconstruction)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = [torch.autograd.grad(loss, reconstruction)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3 * gradients[1].abs().max().item())
