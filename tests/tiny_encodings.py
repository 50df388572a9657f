"""What ``dcae latents`` needs, in small: autoencoders, labelled pictures, and files of few latents.

Run as a program it is ``dcae`` with files of one latent, so that a few pictures fill several.
"""

import sys
from pathlib import Path

import numpy as np
from autoencoders import shrink
from crafted_pictures import encode
from numpy.typing import NDArray

from dcae_export.models.presets import PRESETS
from dcae_export.training.latents import encode as encode_latents

SIDE_PIXELS = 64
# f64 at a sixteenth of its widths and a block a stage: eight channels, one position for 64 pixels.
CONFIG = shrink(PRESETS["dc-ae-f64c128-in-1.0"].config, depth=1)


def noise(number: int, *, height: int = SIDE_PIXELS, width: int = SIDE_PIXELS) -> NDArray[np.uint8]:
    """A picture of its own for each number."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def write_noise(path: Path, number: int, *, height: int = SIDE_PIXELS) -> None:
    """One of these pictures as PNG, as wide as the encoder takes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(noise(number, height=height), ".png"))


def write_pictures(folder: Path) -> Path:
    """Five pictures of one class and four of another, the last of which is damaged."""
    for number in range(9):
        write_noise(folder / ("ant" if number < 5 else "bee") / f"{number}.png", number)
    damaged = folder / "bee" / "8.png"
    damaged.write_bytes(damaged.read_bytes()[:-12])
    return folder


if __name__ == "__main__":
    from dcae_export.cli import main

    encode_latents._MAX_PICTURES_PER_SHARD = 1
    sys.argv[0] = "dcae"
    main()
