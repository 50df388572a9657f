"""What a transformer takes beside the latent, the same for every contestant."""

import numpy as np
from numpy.typing import NDArray


def inputs_for(latent: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    """The inputs of one evaluation: the time differs from row to row, the last label is the null label."""
    rows = len(latent)
    labels = np.arange(rows, dtype=np.int64)
    labels[-1] = 1000
    return {
        "latent": latent,
        "timestep": np.linspace(100, 900, rows, dtype=np.float32),
        "label": labels,
    }
