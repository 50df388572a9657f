"""The JPEG that a number of bytes can hold: what to set beside a latent of that many bytes.

The file is the whole one, headers and tables as well: baseline, 4:2:0, with Huffman tables of its own. It has the
highest quality that fits. Where not even quality 1 fits, the picture is shrunk before by averaging, by as few eighths
of its sides as will do, and the decoded one is enlarged again, bicubic.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_QUALITIES = range(1, 101)
_EIGHTHS = range(8, 0, -1)


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchedJpeg:
    """What is left of the picture, (height, width, 3) RGB, and of which file: ``shrunk`` if not of its full size."""

    picture: Picture
    bytes: int
    quality: int
    shrunk: bool


def matched_jpeg(picture: Picture, max_bytes: int) -> MatchedJpeg | None:
    """The best JPEG of at most ``max_bytes``; None where the smallest is larger.

    Args:
        picture: (height, width, 3) RGB, 0 to 255.
        max_bytes: Of the whole file.
    """
    height, width = picture.shape[:2]
    for eighths in _EIGHTHS:
        rows, columns = max(height * eighths // 8, 1), max(width * eighths // 8, 1)
        source = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
        found = _best(cv2.cvtColor(source, cv2.COLOR_RGB2BGR), max_bytes)
        if found is not None:
            quality, file = found
            decoded = cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            if eighths < 8:
                decoded = cv2.resize(decoded, (width, height), interpolation=cv2.INTER_CUBIC)
            return MatchedJpeg(
                picture=decoded, bytes=file.size, quality=quality, shrunk=eighths < 8
            )
    return None


def _best(bgr: Picture, max_bytes: int) -> tuple[int, Picture] | None:
    """The highest quality whose file fits, and the file; sizes grow with the quality, or nearly so."""
    low, high, best = _QUALITIES.start, _QUALITIES.stop - 1, None
    while low <= high:
        quality = (low + high) // 2
        settings = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1)
        _, file = cv2.imencode(".jpg", bgr, settings)
        if file.size <= max_bytes:
            low, best = quality + 1, (quality, file)
        else:
            high = quality - 1
    return best
