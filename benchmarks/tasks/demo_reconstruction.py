"""What bundles keep of held-out pictures, beside bicubic and a JPEG of as many bytes as the latent.

Bicubic: the picture shrunk to the latent's grid by averaging (OpenCV's INTER_AREA; 0.1 dB above Pillow's antialiased
bicubic on drawn pictures, so the harder one to beat), and enlarged by OpenCV's bicubic. The latent's bytes are those
of its numbers as float16.
"""

import functools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.gradient_error import gradient_error
from benchmarks.labelled_sheet import labelled_sheet
from benchmarks.matched_jpeg import MatchedJpeg, matched_jpeg
from dcae_export.pictures.crops import adm_crop
from dcae_export.pictures.metrics import psnr_db, ssim
from dcae_export.pictures.picture_file import write_picture
from dcae_export.runtime.autoencoder import Autoencoder
from recipes.demo.numbering import Split, draw_picture
from recipes.demo.photographs import read_photograph
from recipes.demo.table import FAMILIES

Picture = NDArray[np.uint8]

_MEASURES: dict[str, Callable[[Picture, Picture], float]] = {
    "psnr": psnr_db,
    "ssim": ssim,
    "gradient_error": gradient_error,
}
_BYTES_PER_NUMBER = 2


def measure_family(
    bundles: dict[str, str], family: str, side: int, count: int
) -> dict[str, object]:
    """Means over the first ``count`` held-out pictures of a family.

    Args:
        bundles: Folders by the name of the contestant.
        family: Which.
        side: Of the pictures, in pixels.
        count: How many.

    Returns:
        ``contestants``: PSNR in dB, SSIM and gradient error in levels a pixel by contestant, bicubic and, where one fits,
        JPEG among them. ``jpeg``: mean bytes and quality, and how many pictures were shrunk; ``latent_bytes``.
    """
    return _measure(bundles, _held_out(family, side, count))


def measure_photograph(bundles: dict[str, str], name: str, side: int) -> dict[str, object]:
    """The same of ADM's crop of a photograph, whose shorter side becomes ``side``."""
    return _measure(bundles, [adm_crop(read_photograph(name), side)])


def measure_sizes(
    bundles: dict[str, str], family: str, sides: list[int], count: int
) -> dict[str, object]:
    """PSNR of the same pictures, drawn at several sizes.

    Args:
        bundles: Folders by the name of the contestant.
        family: Which.
        sides: In pixels, multiples of the first.
        count: How many pictures.

    Returns:
        By side: the mean of ``bicubic``, of each bundle that takes the picture ``whole``, and of each in ``tiles`` of the first side.
    """
    cell: dict[str, object] = {}
    for side in sides:
        pictures = _held_out(family, side, count)
        cell[str(side)] = {
            "bicubic": _mean_psnr(pictures, lambda picture: _bicubic(picture, _factor(bundles))),
            "whole": {
                name: _mean_psnr(pictures, functools.partial(_reconstruct, folder))
                for name, folder in bundles.items()
            },
            "tiles": {
                name: _mean_psnr(pictures, functools.partial(_in_tiles, folder, sides[0]))
                for name, folder in bundles.items()
            },
        }
    return cell


def draw_sheet(
    bundle: str, photographs: list[str], side: int, shown: int, path: str
) -> dict[str, object]:
    """Write a sheet: one row of each family and photograph; input, reconstruction, bicubic, JPEG.

    ``side`` is the pictures', ``shown`` what each takes on the sheet, in pixels.
    """
    pictures = {family: draw_picture(Split.HELD_OUT, family, 0, side) for family in FAMILIES}
    pictures |= {Path(name).stem: adm_crop(read_photograph(name), side) for name in photographs}
    factor, budget = _factor({"": bundle}), _latent_bytes(bundle, side)
    rows: dict[str, Sequence[Picture]] = {}
    for name, picture in pictures.items():
        jpeg = matched_jpeg(picture, budget)
        rows[name] = [
            picture,
            _reconstruct(bundle, picture),
            _bicubic(picture, factor),
            np.full_like(picture, 255) if jpeg is None else jpeg.picture,
        ]
    columns = ("input", "reconstruction", f"bicubic, {factor}x", f"JPEG, {budget} bytes")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_picture(Path(path), labelled_sheet(rows, columns=columns, side=shown), force=True)
    return {}


def _measure(bundles: dict[str, str], pictures: Sequence[Picture]) -> dict[str, object]:
    factor = _factor(bundles)
    budget = _latent_bytes(next(iter(bundles.values())), pictures[0].shape[0])
    results = {"bicubic": [_bicubic(picture, factor) for picture in pictures]}
    for name, folder in bundles.items():
        results[name] = [_reconstruct(folder, picture) for picture in pictures]
    jpegs = [jpeg for picture in pictures if (jpeg := matched_jpeg(picture, budget)) is not None]
    if len(jpegs) == len(pictures):
        results["jpeg"] = [jpeg.picture for jpeg in jpegs]
    return {
        "contestants": {name: _means(pictures, found) for name, found in results.items()},
        "jpeg": _summary(jpegs) if "jpeg" in results else None,
        "latent_bytes": budget,
        "pictures": len(pictures),
    }


def _means(pictures: Sequence[Picture], results: Sequence[Picture]) -> dict[str, float]:
    pairs = list(zip(pictures, results, strict=True))
    return {
        name: statistics.fmean(measure(picture, result) for picture, result in pairs)
        for name, measure in _MEASURES.items()
    }


def _summary(jpegs: Sequence[MatchedJpeg]) -> dict[str, float]:
    return {
        "bytes": statistics.fmean(jpeg.bytes for jpeg in jpegs),
        "quality": statistics.fmean(jpeg.quality for jpeg in jpegs),
        "shrunk": sum(jpeg.shrunk for jpeg in jpegs),
    }


def _mean_psnr(pictures: Sequence[Picture], reconstruct: Callable[[Picture], Picture]) -> float:
    return statistics.fmean(psnr_db(picture, reconstruct(picture)) for picture in pictures)


@functools.lru_cache(maxsize=1)
def _held_out(family: str, side: int, count: int) -> tuple[Picture, ...]:
    return tuple(draw_picture(Split.HELD_OUT, family, number, side) for number in range(count))


@functools.cache
def _open(folder: str) -> Autoencoder:
    return Autoencoder.open(folder)


def _reconstruct(folder: str, picture: Picture) -> Picture:
    return _open(folder).reconstruct(picture)[0]


def _in_tiles(folder: str, side: int, picture: Picture) -> Picture:
    """Squares of ``side`` pixels that know nothing of each other."""
    result = np.empty_like(picture)
    for top in range(0, picture.shape[0], side):
        for left in range(0, picture.shape[1], side):
            there = (slice(top, top + side), slice(left, left + side))
            result[there] = _reconstruct(folder, picture[there])
    return result


def _bicubic(picture: Picture, factor: int) -> Picture:
    height, width = picture.shape[:2]
    grid = (width // factor, height // factor)
    small = cv2.resize(picture, grid, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _factor(bundles: dict[str, str]) -> int:
    """Pixels to a position of the latents, which all bundles have in common."""
    return _open(next(iter(bundles.values()))).downsample


def _latent_bytes(folder: str, side: int) -> int:
    latent = _open(folder).bundle.manifest.latent
    return _BYTES_PER_NUMBER * latent.channels * (side // latent.downsample) ** 2
