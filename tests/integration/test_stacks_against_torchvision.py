"""AlexNet, VGG-16 and FID's Inception against torchvision's own networks, where torchvision is installed."""

import pytest
import torch
from autoencoders import random_input
from torch import Tensor
from torch.nn import functional

from dcae_export.models.alexnet import draw_alexnet
from dcae_export.models.fid_inception import SIDE, draw_fid_inception
from dcae_export.models.frozen import draw_frozen
from dcae_export.models.vgg import VGG16

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),
]

torchvision = pytest.importorskip("torchvision", reason="nothing of this package needs it")

# float32 in another order, through up to a hundred convolutions.
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}


def test_alexnet_and_vgg_16_have_the_features_of_torchvisions():
    with torch.device("meta"):
        vgg = VGG16()
    for ours, theirs in (
        (draw_alexnet(seed=0), torchvision.models.alexnet(weights=None)),
        (draw_frozen(vgg, seed=0), torchvision.models.vgg16(weights=None)),
    ):
        missing, unknown = theirs.load_state_dict(ours.state_dict(), strict=False)
        assert not unknown
        assert all(name.startswith("classifier.") for name in missing)
        image = random_input(1, 3, 64, 96)
        torch.testing.assert_close(
            theirs.features[: len(ours.features)](image), ours.features(image), **ROUNDING
        )


def test_fids_inception_is_torchvisions_with_the_pools_of_2015(monkeypatch):
    ours = draw_fid_inception(seed=0)
    theirs = torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, init_weights=False
    )
    theirs.load_state_dict(ours.state_dict(), strict=True)
    pools: list[Tensor] = []

    def pool(x: Tensor, *, kernel_size: int, stride: int, padding: int) -> Tensor:
        """An average without the padding; at the ninth and last, Mixed_7c's, a maximum."""
        pools.append(x)
        if len(pools) == 9:
            return functional.max_pool2d(x, kernel_size, stride, padding)
        return functional.avg_pool2d(x, kernel_size, stride, padding, count_include_pad=False)

    class Pooling:
        """torch.nn.functional with another average pool."""

        avg_pool2d = staticmethod(pool)

        def __getattr__(self, name: str) -> object:
            return getattr(functional, name)

    monkeypatch.setattr(torchvision.models.inception, "F", Pooling())
    theirs.fc = torch.nn.Identity()
    image = random_input(1, 3, SIDE, SIDE).clamp(-1, 1)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(image), ours(image), **ROUNDING)
    assert len(pools) == 9
