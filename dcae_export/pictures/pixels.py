"""Levels of 0 to 255 become the network's numbers, and those become levels again."""

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import ParityError


def to_tensor(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn pictures into the encoder's input: value / 127.5 - 1 in float32.

    Args:
        images: (count, height, width, 3) RGB, 0 to 255.

    Returns:
        (count, 3, height, width), -1 to 1.
    """
    count, height, width, channels = images.shape
    tensor = np.empty((count, channels, height, width), np.float32)
    np.divide(images.transpose(0, 3, 1, 2), np.float32(127.5), out=tensor, dtype=np.float32)
    tensor -= np.float32(1)
    return tensor


def to_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn the decoder's output into pictures: 127.5 * value + 128 in float32, clamped, truncated.

    Args:
        images: (count, 3, height, width), nominally -1 to 1.

    Returns:
        (count, height, width, 3) RGB, 0 to 255.

    Raises:
        ParityError: If a value is not finite: it would become a black or white pixel.
    """
    # A NaN or an infinity reaches an extremum, and extrema need no array of flags.
    if images.size and not (np.isfinite(images.min()) and np.isfinite(images.max())):
        raise ParityError("the graph's output is not finite; run the bundle in float32")
    count, channels, height, width = images.shape
    pictures = np.empty((count, height, width, channels), np.uint8)
    for image, picture in zip(images, pictures, strict=True):
        # A finite value near the limit overflows to infinity, which the clamp brings back.
        with np.errstate(over="ignore"):
            scaled = image * np.float32(127.5)
        scaled += np.float32(128)
        np.clip(scaled, 0, 255, out=scaled)
        picture[...] = scaled.transpose(1, 2, 0)
    return pictures
