"""How far the differences of neighbouring pixels are from a picture's own: what blur and false edges both raise."""

import numpy as np
from numpy.typing import NDArray


def gradient_error(picture: NDArray[np.uint8], result: NDArray[np.uint8]) -> float:
    """The mean absolute difference of two pictures' gradients, in levels.

    The gradients are forward differences down and along, of each channel; the mean is over both directions. A flat
    result has the picture's mean absolute gradient, and a wrong edge costs as much as a lost one.

    Args:
        picture: (height, width, 3), 0 to 255, at least 2 pixels a side.
        result: A picture of the same shape.
    """
    assert picture.shape == result.shape
    # The gradient of the difference is the difference of the gradients.
    difference = picture.astype(np.int16) - result
    down, along = (np.abs(np.diff(difference, axis=axis)).mean() for axis in (0, 1))
    return float((down + along) / 2)
