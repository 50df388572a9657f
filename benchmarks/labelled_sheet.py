"""Rows of pictures of one size, each row and column with its name."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_GAP = 6
_LINE = 28
_NAMES_WIDTH = 120
_PAPER = 250
_INK = (32, 32, 32)
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SCALE = 0.6


def labelled_sheet(
    rows: dict[str, Sequence[NDArray[np.uint8]]], *, columns: Sequence[str], side: int
) -> NDArray[np.uint8]:
    """One picture of many.

    Args:
        rows: Square RGB pictures of any size by the row's name, which is ASCII as the columns' are.
        columns: Names of the columns, as many as a row has pictures.
        side: Pixels that each takes on the sheet.

    Returns:
        (sheet height, sheet width, 3) RGB.
    """
    step = side + _GAP
    height = _LINE + len(rows) * step
    sheet = np.full((height, _NAMES_WIDTH + len(columns) * step, 3), _PAPER, np.uint8)
    for place, name in enumerate(columns):
        _write(sheet, name, left=_NAMES_WIDTH + place * step, baseline=_LINE - _GAP)
    for number, (name, pictures) in enumerate(rows.items()):
        top = _LINE + number * step
        _write(sheet, name, left=_GAP, baseline=top + side // 2)
        for place, picture in enumerate(pictures):
            left = _NAMES_WIDTH + place * step
            sheet[top : top + side, left : left + side] = _resized(picture, side)
    return sheet


def _resized(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    smaller = picture.shape[0] >= side
    return cv2.resize(
        picture, (side, side), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    )


def _write(sheet: NDArray[np.uint8], text: str, *, left: int, baseline: int) -> None:
    cv2.putText(sheet, text, (left, baseline), _FONT, _SCALE, _INK, 1, cv2.LINE_AA)
