"""What FID's network is given, against bilinear resizing in NumPy."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dcae_export.evaluation.inception_features import InceptionFeatures
from dcae_export.evaluation.metric_networks import MetricNetwork

SIDE = 299
# Places along 700 pixels in float32 are 3e-5 of a pixel off, and neighbours are up to 2 apart.
ROUNDING = 2e-4


class Middle(nn.Module):
    """Gives back some of the pixels that it was given, and keeps all of them."""

    def forward(self, image: Tensor) -> Tensor:
        self.given = image
        return image[:, :, 100, 100]


@pytest.fixture
def middle() -> Middle:
    return Middle()


def features_of(middle: Middle) -> InceptionFeatures:
    network = MetricNetwork(network=middle, source="random:0", is_random=True)
    return InceptionFeatures(network, device=torch.device("cpu"))


def resized(line: np.ndarray) -> np.ndarray:
    """Values along the first axis at 299 places, pixels being areas whose corners stay where they are."""
    places = np.clip((np.arange(SIDE) + 0.5) * len(line) / SIDE - 0.5, 0, len(line) - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, len(line) - 1)
    share = (places - low).reshape(-1, *[1] * (line.ndim - 1))
    return (1 - share) * line[low] + share * line[high]


@pytest.mark.parametrize("size", [(64, 64), (299, 299), (700, 500)])
def test_pictures_are_resized_bilinearly_without_antialiasing(middle, size):
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    found = features_of(middle)(images)
    rows_done = np.stack([resized(image / 255) for image in images])
    expected = np.stack([resized(rows.swapaxes(0, 1)).swapaxes(0, 1) for rows in rows_done])
    expected = 2 * expected.transpose(0, 3, 1, 2) - 1
    np.testing.assert_allclose(middle.given.numpy(), expected, atol=ROUNDING)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[:, :, 100, 100], atol=ROUNDING)


def test_black_is_minus_one_and_white_is_one(middle):
    images = np.stack([np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)])
    assert features_of(middle)(images).tolist() == [[-1] * 3, [1] * 3]


def test_no_gradient_is_kept(middle):
    features_of(middle)(np.zeros((1, 9, 9, 3), np.uint8))
    assert middle.given.is_inference()
