"""Photographs for the demo model, out of scikit-image's wheel: ``python -m recipes.demo.photographs --help``.

The astronaut and the coffee are not among them: the trained model is compared on those.
"""

import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

import click
import numpy as np

from dcae_export.cli.failures import run
from dcae_export.pictures.crops import random_resized_crop
from dcae_export.pictures.picture_file import read_picture, write_picture
from recipes.demo.canvas import Picture
from recipes.demo.folder import make_folder

# By their files, not by skimage's functions, which may fetch what is not there.
PHOTOGRAPHS: Final = (
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
)
# Of the largest square in a photograph.
_MIN_AREA: Final = 0.2


@click.command(name="photographs")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option(
    "--crops",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Random squares of each, in place of the whole.",
)
@click.option(
    "--side",
    type=click.IntRange(min=8),
    default=256,
    show_default=True,
    help="Pixels to a square's side. Photographs that are smaller are left out.",
)
def command(*, out: Path, crops: int, side: int) -> None:
    """Write the photographs as RGB into OUT; those that are there are kept."""
    make_folder(out)
    for place, name in enumerate(PHOTOGRAPHS):
        stem = Path(name).stem
        photograph = read_photograph(name)
        if not crops:
            _keep(out / f"{stem}.png", photograph)
        elif min(photograph.shape[:2]) < side:
            click.echo(f"{stem}: smaller than {side} px, left out", err=True)
        else:
            for number in range(crops):
                generator = np.random.default_rng([place, number])
                square = random_resized_crop(photograph, side, generator, _MIN_AREA)
                _keep(out / f"{stem}-{number:04}.png", square)


def read_photograph(name: str) -> Picture:
    """One of the photographs, (height, width, 3) RGB.

    Raises:
        PictureError: This release of scikit-image does not have it.
    """
    return read_picture(Path(str(files("skimage"))) / "data" / name)


def _keep(path: Path, picture: Picture) -> None:
    if not path.exists():
        write_picture(path, picture)


if __name__ == "__main__":
    sys.exit(run(command, prog_name="python -m recipes.demo.photographs"))
