"""Cut squares out of pictures: ADM's for evaluation, random ones for training.

Pillow resamples, not OpenCV: published figures are of crops that Pillow made, and its bicubic kernel widens
where a picture shrinks. OpenCV's bicubic reads four by four pixels however far it shrinks, and so aliases.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from dcae_export.errors import ConfigError

# A picture of 1 x 60,000,000 pixels, enlarged whole, would fill any memory; the crop shows its middle only.
_MAX_ENLARGED_ASPECT: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class _Square:
    """A square of ``size`` pixels a side; ``enlarge`` admits pictures that are smaller.

    Raises:
        ConfigError: A size below 1.
    """

    size: int
    enlarge: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"a crop of {self.size} pixels is none; give a positive size")

    @property
    def min_side(self) -> int:
        """The shortest side, in pixels, that a picture may have."""
        return 1 if self.enlarge else self.size


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationCrop(_Square):
    """ADM's crop: the middle of the picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingCrop(_Square):
    """A random crop, mirrored left to right in half of the draws.

    ``min_area`` is the smallest share of the picture's largest square that a crop shows.

    Raises:
        ConfigError: A size below 1, or a share outside (0, 1].
    """

    min_area: float

    def __post_init__(self) -> None:
        # Without arguments, super() names the class that slots=True has replaced.
        _Square.__post_init__(self)
        if not 0 < self.min_area <= 1:
            raise ConfigError(f"a crop's smallest area is a share in (0, 1], not {self.min_area}")


Crop = TrainingCrop | EvaluationCrop


def cut(image: NDArray[np.uint8], crop: Crop, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Cut a square out of a picture.

    Args:
        image: (height, width, 3) RGB, 0 to 255.
        crop: Which square.
        generator: What a random crop is drawn from.

    Returns:
        (size, size, 3) RGB, 0 to 255, contiguous.
    """
    match crop:
        case EvaluationCrop():
            return adm_crop(image, crop.size)
        case TrainingCrop():
            square = random_resized_crop(image, crop.size, generator, crop.min_area)
            mirrored = bool(generator.integers(2))
            return np.ascontiguousarray(square[:, ::-1]) if mirrored else square


def adm_crop(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale a picture's short side to ``size`` and cut the centre out, as ADM's evaluation does.

    While both sides are at least twice ``size``, they are halved by averaging (2 x 2 pixels where they are
    even); a bicubic step brings the short side to ``size`` (Dhariwal and Nichol 2021, and the published
    evaluations of DC-AE after them).

    Args:
        image: (height, width, 3) RGB, 0 to 255.
        size: The side of the result in pixels.

    Returns:
        (size, size, 3) RGB, 0 to 255.
    """
    _require_rgb(image)
    picture = Image.fromarray(image)
    while min(picture.size) >= 2 * size:
        picture = picture.resize((picture.width // 2, picture.height // 2), Resampling.BOX)
    if min(picture.size) < size:
        picture = without_far_ends(picture)
    scale = size / min(picture.size)
    columns, rows = round(picture.width * scale), round(picture.height * scale)
    picture = picture.resize((columns, rows), Resampling.BICUBIC)
    left, top = (columns - size) // 2, (rows - size) // 2
    return np.array(picture.crop((left, top, left + size, top + size)))


def random_resized_crop(
    image: NDArray[np.uint8], size: int, generator: np.random.Generator, min_area: float
) -> NDArray[np.uint8]:
    """Cut a random square out and scale it to ``size`` with antialiasing.

    Its area is uniform between ``min_area`` and 1 of the picture's largest square, but its side never below
    ``size`` where the picture allows it: what was enlarged is blurred, and would teach blur. Its aspect ratio
    is 1, as a decoder should not learn stretched pictures.

    Args:
        image: (height, width, 3) RGB, 0 to 255.
        size: The side of the result in pixels.
        generator: What side and place are drawn from.
        min_area: The smallest share of the largest square's area, in (0, 1].

    Returns:
        (size, size, 3) RGB, 0 to 255.
    """
    _require_rgb(image)
    height: int = image.shape[0]
    width: int = image.shape[1]
    short = min(height, width)
    side = round(short * math.sqrt(generator.uniform(min_area, 1)))
    side = max(side, min(size, short), 1)
    top = int(generator.integers(height - side, endpoint=True))
    left = int(generator.integers(width - side, endpoint=True))
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    return np.array(Image.fromarray(square).resize((size, size), Resampling.BICUBIC))


def without_far_ends(picture: Image.Image) -> Image.Image:
    """The middle of a picture that is far longer than wide; the whole of any other.

    A square of the middle shows nothing of its ends, which could fill any memory once the picture is enlarged.
    """
    longest = _MAX_ENLARGED_ASPECT * min(picture.size)
    width, height = min(picture.width, longest), min(picture.height, longest)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _require_rgb(image: NDArray[np.uint8]) -> None:
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
