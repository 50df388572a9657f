"""Photographs and drawn pictures to evaluate, and FID written a second time."""

from pathlib import Path

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from skimage import color, data

from benchmarks.study_pictures import HELD_OUT, PHOTOGRAPHS, draw_picture
from dcae_export.pictures.picture_file import write_picture

Picture = NDArray[np.uint8]


def photographs() -> list[Picture]:
    """Those of scikit-image's wheel that are held out in the benchmarks."""
    found = [getattr(data, name)() for name in PHOTOGRAPHS[HELD_OUT]]
    return [
        picture if picture.ndim == 3 else np.round(255 * color.gray2rgb(picture / 255)).astype("u1")
        for picture in found
    ]


def evaluated_pictures(count: int, *, side: int) -> list[Picture]:
    """Pictures whose shorter side is at least ``side``: every other one drawn, the rest cut out of photographs."""
    sources = photographs()
    pictures: list[Picture] = []
    for number in range(count):
        rng = np.random.default_rng([7, number])
        if number % 2:
            pictures.append(draw_picture(rng, side, sources))
            continue
        source = sources[number // 2 % len(sources)]
        top, left = (int(rng.integers(0, length - side)) for length in source.shape[:2])
        pictures.append(source[top : top + side, left : left + side + 8])
    return pictures


def write_pictures(folder: Path, count: int, *, side: int) -> Path:
    """Write them into two subfolders, as PNG."""
    for number, picture in enumerate(evaluated_pictures(count, side=side)):
        path = folder / f"class-{number % 2}" / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, np.ascontiguousarray(picture))
    return folder


def fid_by_scipy(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """FID of two sets of as many features, (N, D), with N below D.

    tr (A B)^(1/2) is taken in the space of the samples: of X the centred features of one set and Y of the other, A B
    has the eigenvalues of (X Y^T)(X Y^T)^T / (N - 1)^2, which is a matrix of N x N.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    assert a.shape == b.shape
    x, y = a - a.mean(axis=0), b - b.mean(axis=0)
    cross = x @ y.T
    root = scipy.linalg.sqrtm(cross @ cross.T + 0j).real
    degrees = len(a) - 1
    spread = (np.square(x).sum() + np.square(y).sum() - 2 * np.trace(root)) / degrees
    return float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + spread)
