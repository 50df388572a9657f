"""How far the edges of a result are from a picture's own: what blur, false edges and noise all raise.

Sobel's operator, not the difference of two neighbours: fine grain fills the mean of the latter, so that a thumbnail
of 8 x 8 pixels, which has none, beats a JPEG that is 14 dB nearer on most of the drawn families.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

# Of the weights: the result is in levels a pixel.
_SCALE = 1 / 8


def gradient_error(picture: NDArray[np.uint8], result: NDArray[np.uint8]) -> float:
    """The mean absolute difference of two pictures' Sobel gradients, in levels a pixel.

    The mean is over down and along, the channels, and the pixels inside the border. A flat result has the picture's
    mean absolute gradient; an edge that is somewhere else costs twice a lost one.

    Args:
        picture: (height, width, 3), 0 to 255, at least 3 pixels a side.
        result: A picture of the same shape.
    """
    assert picture.shape == result.shape
    # The operator is linear: of the difference it gives the difference.
    difference = picture.astype(np.float32) - result
    gradients = (
        cv2.Sobel(difference, cv2.CV_32F, along, 1 - along, ksize=3, scale=_SCALE)
        for along in (0, 1)
    )
    return float(np.mean([np.abs(gradient[1:-1, 1:-1]).mean() for gradient in gradients]))
