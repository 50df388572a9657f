"""Pictures made worse by known steps: every metric ranks them, and a second computation gives the same numbers."""

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from crafted_pictures import encode
from evaluated_pictures import Picture, evaluated_pictures, fid_by_scipy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dcae_export.evaluation.figures import Metric, frechet_figure
from dcae_export.evaluation.inception_features import InceptionFeatures
from dcae_export.evaluation.lpips_distances import LPIPSDistances
from dcae_export.evaluation.metric_networks import alexnet_network, inception_network
from dcae_export.evaluation.moments import Moments
from dcae_export.models.fid_inception import FEATURES
from dcae_export.pictures.crops import adm_crop
from dcae_export.pictures.metrics import psnr_db, ssim
from dcae_export.pictures.picture_file import decode_picture

pytestmark = pytest.mark.integration

SIDE = 128
COUNT = 16
CPU = torch.device("cpu")
# Two decompositions of rank 15 against the root of a matrix of 16 rows, whose smallest eigenvalues are roundings.
SECOND_COMPUTATION = 1e-6


def jpeg(quality: int) -> Callable[[Picture], Picture]:
    return lambda picture: decode_picture(
        encode(picture, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)
    )


def blur(sigma: float) -> Callable[[Picture], Picture]:
    return lambda picture: cv2.GaussianBlur(picture, (0, 0), sigma)


# From little damage to much.
FAMILIES = {
    "jpeg": {f"quality {quality}": jpeg(quality) for quality in (90, 40, 5)},
    "blur": {f"sigma {sigma}": blur(sigma) for sigma in (0.6, 1.5, 4.0)},
}
STEPS = {(family, name): step for family, steps in FAMILIES.items() for name, step in steps.items()}


@pytest.fixture(scope="module")
def originals() -> np.ndarray:
    return np.stack([adm_crop(one, SIDE) for one in evaluated_pictures(COUNT, side=SIDE)])


@pytest.fixture(scope="module")
def damaged(originals) -> dict[tuple[str, str], np.ndarray]:
    return {key: np.stack([step(one) for one in originals]) for key, step in STEPS.items()}


@pytest.fixture(scope="module")
def features(originals, damaged) -> dict[object, np.ndarray]:
    """Features of a random Inception: those of the originals under None."""
    inception = InceptionFeatures(inception_network("random:0"), device=CPU)
    assert inception.is_random
    return {key: inception(pictures) for key, pictures in {None: originals, **damaged}.items()}


def moments_of(features: np.ndarray) -> Moments:
    """As an evaluation takes features: in batches."""
    moments = Moments.empty(FEATURES)
    for batch in np.array_split(features, 3):
        moments.add(batch)
    return moments


@pytest.fixture(scope="module")
def rfid(features) -> dict[object, float]:
    """The distance of each set to the originals, theirs to themselves under None."""
    metric = Metric(name="rFID", better="lower", is_random=True)
    original = moments_of(features[None])
    figures = {
        key: frechet_figure(metric, moments_of(found), original) for key, found in features.items()
    }
    for figure in figures.values():
        assert figure.value is None
        assert figure.note.startswith("random weights, so no rFID; only 16 pictures")
    return {key: figure.trial for key, figure in figures.items()}


def ranked(values: dict[tuple[str, str], float]) -> dict[str, list[float]]:
    """The values of each family, in the order of the damage."""
    return {family: [values[family, name] for name in steps] for family, steps in FAMILIES.items()}


def test_rfid_grows_with_the_damage_and_is_nothing_without_any(rfid):
    for family, values in ranked(rfid).items():
        assert values[0] > 0, family
        # Far more than rounding: 19, 26 and 49 for JPEG is what was seen.
        assert all(1.1 * low < high for low, high in itertools.pairwise(values)), family
    assert rfid[None] < 1e-9 * rfid["jpeg", "quality 90"]


@pytest.mark.parametrize("key", STEPS, ids=" ".join)
def test_rfid_is_what_scipy_makes_of_the_same_features(rfid, features, key):
    expected = fid_by_scipy(features[key], features[None])
    assert rfid[key] == pytest.approx(expected, rel=SECOND_COMPUTATION)


def test_psnr_and_ssim_fall_with_the_damage_and_are_scikit_images(originals, damaged):
    psnr, similarity = {}, {}
    for key, pictures in damaged.items():
        pairs = list(zip(originals, pictures, strict=True))
        psnr[key] = np.mean([psnr_db(*pair) for pair in pairs])
        similarity[key] = np.mean([ssim(*pair) for pair in pairs])
        theirs = [peak_signal_noise_ratio(*pair) for pair in pairs]
        assert psnr[key] == pytest.approx(np.mean(theirs), rel=1e-9)
        options = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5}
        theirs = [
            structural_similarity(*pair, use_sample_covariance=False, **options) for pair in pairs
        ]
        assert similarity[key] == pytest.approx(np.mean(theirs), rel=1e-6)
    for values in (psnr, similarity):
        for family, found in ranked(values).items():
            assert found == sorted(found, reverse=True), family


def test_lpips_of_a_random_alexnet_grows_with_the_damage(originals, damaged):
    distances = LPIPSDistances(alexnet_network("random:0"), device=CPU)
    found = {key: np.mean(distances(originals, pictures)) for key, pictures in damaged.items()}
    for family, values in ranked(found).items():
        assert values == sorted(values), family
    assert distances(originals[:2], originals[:2]) == [0.0, 0.0]
