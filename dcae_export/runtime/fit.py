"""Give pictures sides that are multiples of a divisor."""

from enum import Enum
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import PictureError


class Fit(Enum):
    """How a picture gets sides that are multiples of a divisor."""

    PAD = "pad"
    CROP = "crop"
    RESIZE = "resize"


def fit(
    image: NDArray[np.uint8], *, divisor: int, mode: Fit
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Give a picture sides that are multiples of the model's divisor.

    Args:
        image: (height, width, 3) RGB, 0 to 255.
        divisor: The side, in pixels, of what becomes one element of the latent.
        mode: Repeat the bottom and right edges up to the next multiple, cut the centre out, or
            resize to the nearest multiple.

    Returns:
        The picture, and the (height, width) to which its top left corner is to be cropped after the
        model: the size of `image` for padding, the size of the result for the others.

    Raises:
        PictureError: If a picture smaller than the divisor is to be cropped.
    """
    assert divisor >= 1
    match mode:
        case Fit.PAD:
            return _pad(image, divisor), (image.shape[0], image.shape[1])
        case Fit.CROP:
            fitted = _crop(image, divisor)
        case Fit.RESIZE:
            fitted = _resize(image, divisor)
    return fitted, (fitted.shape[0], fitted.shape[1])


def fitted_size(size: tuple[int, int], *, divisor: int, mode: Fit) -> tuple[int, int]:
    """The (height, width) that ``fit`` gives a picture of ``size``; 0 for a side with nothing left to crop to."""
    height, width = size
    match mode:
        case Fit.PAD:
            return height + -height % divisor, width + -width % divisor
        case Fit.CROP:
            return height - height % divisor, width - width % divisor
        case Fit.RESIZE:
            return _nearest(height, divisor), _nearest(width, divisor)


def cover(image: NDArray[np.uint8], *, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Cut the centre out of a picture and resize it, so that it has exactly ``size``.

    Args:
        image: (height, width, 3) RGB, 0 to 255.
        size: (height, width) of the result.

    Returns:
        The picture, (*size, 3); its longer side is cut.
    """
    height, width = size
    scale = max(height / image.shape[0], width / image.shape[1])
    # Cut first: a picture of 1 x 60,000,000 pixels, resized whole, would fill any memory.
    rows = min(image.shape[0], max(1, round(height / scale)))
    columns = min(image.shape[1], max(1, round(width / scale)))
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    centre = image[top : top + rows, left : left + columns]
    return np.ascontiguousarray(_scaled(centre, height, width))


def _pad(image: NDArray[np.uint8], divisor: int) -> NDArray[np.uint8]:
    height, width = _fitted_size(image, divisor, Fit.PAD)
    if (height, width) == image.shape[:2]:
        return image
    below, beside = height - image.shape[0], width - image.shape[1]
    return np.pad(image, ((0, below), (0, beside), (0, 0)), mode="edge")


def _crop(image: NDArray[np.uint8], divisor: int) -> NDArray[np.uint8]:
    height, width = _fitted_size(image, divisor, Fit.CROP)
    if not (height and width):
        raise PictureError(
            f"a picture of {image.shape[1]} x {image.shape[0]} pixels cannot be cropped to a "
            f"multiple of {divisor}; use pad or resize"
        )
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _resize(image: NDArray[np.uint8], divisor: int) -> NDArray[np.uint8]:
    return _scaled(image, *_fitted_size(image, divisor, Fit.RESIZE))


def _fitted_size(image: NDArray[np.uint8], divisor: int, mode: Fit) -> tuple[int, int]:
    return fitted_size((image.shape[0], image.shape[1]), divisor=divisor, mode=mode)


def _nearest(side: int, divisor: int) -> int:
    return max(divisor, (side + divisor // 2) // divisor * divisor)


def _scaled(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if (height, width) == image.shape[:2]:
        return image
    # Area averages, so it does not alias; but it cannot invent pixels where a side grows.
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=interpolation)
    return cast("NDArray[np.uint8]", resized)
