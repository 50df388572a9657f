"""Draw a picture, its reconstruction and their difference on one sheet."""

import math
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from dcae_export.pictures.metrics import psnr_db, ssim

_ERROR_GAIN: Final = 4
# Captions fit over columns this wide; smaller pictures are enlarged.
_MIN_COLUMN_WIDTH: Final = 320
_PAPER: Final = (250, 250, 250)
_INK: Final = (32, 32, 32)
_FAINT_INK: Final = (110, 110, 110)
_FONT: Final = cv2.FONT_HERSHEY_DUPLEX


def side_by_side(
    original: NDArray[np.uint8], reconstruction: NDArray[np.uint8], *, label: str
) -> NDArray[np.uint8]:
    """Draw input, reconstruction and error map beside each other, with PSNR and SSIM.

    The error map shows the mean absolute difference of the channels, four times amplified.

    Args:
        original: (height, width, 3) RGB, 0 to 255, at least 11 pixels a side.
        reconstruction: A picture of the same shape.
        label: The title; ASCII, cut where it would reach the scores.

    Returns:
        The sheet, (sheet height, sheet width, 3) RGB; small pictures are enlarged by a whole factor.

    Raises:
        PictureError: If a side is shorter than 11 pixels.
    """
    assert original.shape == reconstruction.shape
    factor = math.ceil(_MIN_COLUMN_WIDTH / max(original.shape))
    panels = (
        _enlarged(original, factor),
        _enlarged(reconstruction, factor),
        _enlarged(_error_map(original, reconstruction), factor),
    )
    names = ("input", "reconstruction", f"error x {_ERROR_GAIN}")
    height, width = panels[0].shape[:2]
    column_width = max(width, _MIN_COLUMN_WIDTH)
    gap = max(8, column_width // 48)
    line = max(28, column_width // 14)
    sheet = np.full((height + 3 * gap + 2 * line, 3 * column_width + 4 * gap, 3), _PAPER, np.uint8)
    top = gap + line
    for column, (panel, name) in enumerate(zip(panels, names, strict=True)):
        left = gap + column * (column_width + gap)
        sheet[top : top + height, left : left + width] = panel
        _write(sheet, name, (left, top + height + gap // 2), line=line, ink=_FAINT_INK)
    psnr, similarity = psnr_db(original, reconstruction), ssim(original, reconstruction)
    scores = f"PSNR {psnr:.2f} dB   SSIM {similarity:.4f}"
    scores_left = sheet.shape[1] - gap - _text_width(scores, line)
    title = _shortened(label, scores_left - 3 * gap, line)
    _write(sheet, title, (gap, gap // 2), line=line, ink=_INK)
    _write(sheet, scores, (scores_left, gap // 2), line=line, ink=_INK)
    return sheet


def _enlarged(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    return image.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else image


def _error_map(original: NDArray[np.uint8], reconstruction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    difference = cv2.absdiff(np.ascontiguousarray(original), np.ascontiguousarray(reconstruction))
    # One linear map averages the channels, amplifies and saturates.
    mean = cv2.transform(difference, np.full((1, 3), _ERROR_GAIN / 3))
    coloured = cv2.applyColorMap(mean, cv2.COLORMAP_INFERNO)
    return cast("NDArray[np.uint8]", cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB))


def _write(
    sheet: NDArray[np.uint8],
    text: str,
    corner: tuple[int, int],
    *,
    line: int,
    ink: tuple[int, int, int],
) -> None:
    """Write one line of text below and right of a corner (x, y)."""
    baseline = (corner[0], corner[1] + round(line * 0.75))
    cv2.putText(sheet, text, baseline, _FONT, _text_scale(line), ink, 1, cv2.LINE_AA)


def _shortened(text: str, width: int, line: int) -> str:
    """Cut a text to a width in pixels."""
    if _text_width(text, line) <= width:
        return text
    fitting = (
        end for end in range(len(text), 0, -1) if _text_width(text[:end] + "...", line) <= width
    )
    return text[: next(fitting, 0)] + "..."


def _text_width(text: str, line: int) -> int:
    return cv2.getTextSize(text, _FONT, _text_scale(line), 1)[0][0]


def _text_scale(line: int) -> float:
    # The font's capitals are 21 pixels high at scale 1; half of the line is capital.
    return line / 2 / 21
