"""Held-out pictures of one class and generated ones: what the classifier names them, and how near they are to training.

A generated picture has been through the decoder, so it is compared with held-out pictures that have been, too. How
nearness is measured is said in ``benchmarks.nearest_pictures``.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.labelled_sheet import labelled_sheet
from benchmarks.nearest_pictures import Thumbnails, nearest, thumbnail
from benchmarks.tasks.demo_classifier import count_names
from dcae_export.errors import InputError
from dcae_export.pictures.picture_file import read_picture, write_picture
from dcae_export.runtime.autoencoder import Autoencoder
from dcae_export.runtime.pipeline import Pipeline
from recipes.demo.numbering import Split, draw_picture
from recipes.demo.table import FAMILIES

Picture = NDArray[np.uint8]
# Of a class; more are not asked for.
_SEEDS_PER_CLASS = 10_000


def measure_held_out(
    bundle: str, family: str, count: int, weights: str, pictures: str
) -> dict[str, object]:
    """Draw held-out pictures of the size that the bundle generates, and reconstruct them.

    Args:
        bundle: The folder of the bundle.
        family: The class.
        count: How many.
        weights: The classifier's.
        pictures: The folder of training pictures.

    Returns:
        Counts of names by what was named, ``drawn`` and ``reconstructed``; ``distances`` of the reconstructed to
        their nearest training pictures, in levels.
    """
    autoencoder = _open_autoencoder(bundle)
    side = _open(bundle).size[0]
    drawn = [draw_picture(Split.HELD_OUT, family, number, side) for number in range(count)]
    reconstructed = [autoencoder.reconstruct(picture)[0] for picture in drawn]
    return {
        "drawn": count_names(weights, drawn),
        "reconstructed": count_names(weights, reconstructed),
        "distances": nearest(_thumbnails(reconstructed), _training(pictures)[1]).distances.tolist(),
    }


def generate_class(
    bundle: str, family: str, weights: str, pictures: str, files: list[str]
) -> dict[str, object]:
    """Generate pictures of one class with the bundle's own sampler and guidance, and keep them.

    Args:
        bundle: The folder of the bundle.
        family: The class.
        weights: The classifier's.
        pictures: The folder of training pictures.
        files: Where the pictures are written, one for each. The first has the class's first seed, and so on.

    Returns:
        ``names``: counts; ``distances`` and ``nearest``: of each picture to its nearest training picture, and that
        one's place in the folder.
    """
    label = sorted(FAMILIES).index(family)
    generated = _open(bundle).generate([family] * len(files), seed=_SEEDS_PER_CLASS * label)
    for file, picture in zip(files, generated, strict=True):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        write_picture(Path(file), picture, force=True)
    names, known = _training(pictures)
    found = nearest(_thumbnails(generated), known)
    return {
        "names": count_names(weights, list(generated)),
        "distances": found.distances.tolist(),
        "nearest": [names[number] for number in found.numbers],
    }


def draw_sheet(
    rows: dict[str, list[str]], columns: list[str], shown: int, path: str
) -> dict[str, object]:
    """Write a sheet of picture files by the row's name; each takes ``shown`` pixels."""
    read = {name: [read_picture(Path(one)) for one in files] for name, files in rows.items()}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_picture(Path(path), labelled_sheet(read, columns=columns, side=shown), force=True)
    return {}


@functools.cache
def _open(bundle: str) -> Pipeline:
    return Pipeline.open(bundle, keep_sessions=True)


@functools.cache
def _open_autoencoder(bundle: str) -> Autoencoder:
    return Autoencoder.open(bundle)


@functools.cache
def _training(folder: str) -> tuple[list[str], Thumbnails]:
    """The training pictures of all families: their places in the folder, and their thumbnails."""
    root = Path(folder)
    paths = [path for family in sorted(FAMILIES) for path in sorted((root / family).glob("*.png"))]
    if not paths:
        raise InputError(
            f"{folder}: holds no FAMILY/NUMBER.png; python -m recipes.demo.draw draws them"
        )
    return (
        [path.relative_to(root).as_posix() for path in paths],
        np.stack([thumbnail(read_picture(path)) for path in paths]),
    )


def _thumbnails(pictures: Sequence[Picture] | Picture) -> Thumbnails:
    return np.stack([thumbnail(picture) for picture in pictures])
