"""Families differ: statistics that know nothing of shapes tell most pictures apart already."""

import cv2
import numpy as np
from demo_pictures import SMALL, held_out_pictures, training_pictures

from recipes.demo.table import FAMILIES

# Of ten families chance finds a tenth. Twelve pictures of each are few: with 160 the same statistics find 99 %.
LEAST_ACCURACY = 0.85


def statistics(picture):
    """Brightness, colourfulness, and how strong, straight and skewed edges are at three sizes."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    saturation = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 1]
    features = [grey.std(), saturation.mean(), picture.std(axis=(0, 1)).mean()]
    features += np.quantile(grey, (0.05, 0.25, 0.5, 0.75, 0.95)).tolist()
    features.append(grey[: SMALL // 2].mean() - grey[SMALL // 2 :].mean())
    for side in (SMALL, SMALL // 2, SMALL // 4):
        features += _edges(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA))
    return features


def _edges(grey):
    side = grey.shape[0]
    right, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength = np.hypot(right, down)
    features = np.log1p(np.quantile(strength, (0.1, 0.25, 0.5, 0.75, 0.9, 0.98))).tolist()
    features.append(np.log((strength[: side // 2].mean() + 1) / (strength[side // 2 :].mean() + 1)))
    # How much one direction rules, in the whole picture and around each pixel.
    tensor = [right * right, down * down, right * down]
    for across, along, both in (
        [part.mean() for part in tensor],
        [cv2.GaussianBlur(part, (0, 0), side / 16) for part in tensor],
    ):
        ruling = np.hypot(across - along, 2 * both) / (across + along + 5)
        features.append(ruling.mean())
    curvature = cv2.Laplacian(grey, cv2.CV_32F)
    skewness = (curvature**3).mean() / ((curvature**2).mean() ** 1.5 + 1)
    return [*features, np.log1p(np.abs(curvature).mean()), skewness]


def labelled(pictures_of):
    rows = [
        (statistics(picture), place)
        for place, family in enumerate(FAMILIES)
        for picture in pictures_of(family)
    ]
    return np.array([features for features, _ in rows]), np.array([place for _, place in rows])


def test_the_nearest_training_picture_is_mostly_of_the_same_family():
    known, families = labelled(training_pictures)
    asked, expected = labelled(held_out_pictures)
    distances = np.linalg.norm((asked[:, None] - known) / known.std(axis=0), axis=2)
    found = families[distances.argmin(axis=1)]
    assert (found == expected).mean() >= LEAST_ACCURACY
