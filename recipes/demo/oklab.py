"""Colours by how they look: OKLab, in which equal steps look equal (Ottosson 2020)."""

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.float32]

# From linear sRGB to the responses of the eye's three cones, and from their cube roots to lightness and two hues.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_CONES, _FROM_LAB = np.linalg.inv(_CONES), np.linalg.inv(_LAB)


def to_oklab(rgb: Colours) -> NDArray[np.float64]:
    """(..., 3) of sRGB, 0 to 1, as lightness, green to red, and blue to yellow."""
    encoded = rgb.astype(np.float64)
    linear = np.where(
        encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4
    )
    return np.cbrt(linear @ _CONES.T) @ _LAB.T


def from_oklab(lab: NDArray[np.float64]) -> Colours:
    """The way back; what no screen can show is clipped."""
    linear = np.clip((lab @ _FROM_LAB.T) ** 3 @ _FROM_CONES.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded.astype(np.float32)
