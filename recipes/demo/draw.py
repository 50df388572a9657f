"""Draw the pictures of the demo model into class folders: ``python -m recipes.demo.draw --help``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np

from dcae_export.cli.failures import run
from dcae_export.cli.progress import Progress
from dcae_export.errors import InputError
from dcae_export.pictures.picture_file import read_picture, write_picture
from recipes.demo.canvas import Picture
from recipes.demo.folder import make_folder
from recipes.demo.numbering import Split, draw_picture
from recipes.demo.table import FAMILIES

_SPLITS: Final = {split.name.lower().replace("_", "-"): split for split in Split}
# In levels, on average: another machine may round a few pixels the other way, another picture differs by tens.
_SAME_PICTURE: Final = 0.5


@click.command(name="draw")
@click.option("--split", "split_name", type=click.Choice(list(_SPLITS)), required=True)
@click.option("--count", type=click.IntRange(min=1), required=True, help="Pictures of each family.")
@click.option("--side", type=click.IntRange(min=8), required=True, help="Pixels to a side.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option(
    "--family",
    "families",
    type=click.Choice(list(FAMILIES)),
    multiple=True,
    help="May be repeated.  [default: all]",
)
def command(*, split_name: str, count: int, side: int, out: Path, families: Sequence[str]) -> None:
    """Write OUT/FAMILY/NUMBER.png for the numbers from 0 up to COUNT; those that are there are kept."""
    chosen = families or tuple(FAMILIES)
    split = _SPLITS[split_name]
    with Progress("drawing", steps=count * len(chosen)) as progress:
        for family in chosen:
            progress.stage(family)
            folder = out / family
            make_folder(folder)
            _require_same(folder, split, family, side)
            for number in range(count):
                path = picture_path(folder, number)
                if not path.exists():
                    write_picture(path, draw_picture(split, family, number, side))
                progress.advance()


def picture_path(folder: Path, number: int) -> Path:
    """Where a family's picture is."""
    return folder / f"{number:06}.png"


def _require_same(folder: Path, split: Split, family: str, side: int) -> None:
    """Fail where a folder holds pictures of another split or size, by its first one."""
    path = picture_path(folder, 0)
    if not path.exists():
        return
    found, drawn = read_picture(path), draw_picture(split, family, 0, side)
    if found.shape != drawn.shape or _difference(found, drawn) > _SAME_PICTURE:
        raise InputError(f"{path}: is of another split or size; draw into another folder")


def _difference(first: Picture, second: Picture) -> float:
    return float(np.abs(first.astype(np.int16) - second).mean())


if __name__ == "__main__":
    sys.exit(run(command, prog_name="python -m recipes.demo.draw"))
