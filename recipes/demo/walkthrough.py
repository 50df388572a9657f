"""What the demo model does, in minutes and without a network: ``python -m recipes.demo.walkthrough --help``."""

import shutil
import sys
from collections.abc import Iterator
from importlib.resources import files
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np

from dcae_export.cli.console import size_text
from dcae_export.cli.failures import run
from dcae_export.pictures.picture_file import read_picture, write_picture
from recipes.demo.folder import make_folder
from recipes.demo.public_command import Cost, run_public
from recipes.demo.table import FAMILIES

# Never trained on.
_PHOTOGRAPH: Final = "astronaut.png"
# Pictures of 512 px, four in a row and four rows: 2048x2048.
_PER_ROW: Final = 4
_SIDE: Final = 512
_LARGE_SIDE: Final = 2048
_LARGE_LABEL: Final = "clouds"


@click.command(name="walkthrough")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="For bundles and pictures; those that are there are replaced.",
)
def command(*, out: Path) -> None:
    """Export the demo model, reconstruct a photograph, generate, and print the parity matrix."""
    make_folder(out)
    # The file, not skimage's function, which loads what a peak of memory would count.
    shutil.copy(Path(str(files("skimage"))) / "data" / _PHOTOGRAPH, out / _PHOTOGRAPH)
    labels = list(islice(cycle(sorted(FAMILIES)), _PER_ROW**2))
    costs = [run_public(*words) for words in _commands(out, labels)]
    _write_sheet(out / "classes", labels, out / "classes.png")
    _tell(out, costs)


def _commands(out: Path, labels: list[str]) -> Iterator[tuple[str, ...]]:
    bundle, large = out / "f64-demo", out / f"f64-demo-{_LARGE_SIDE}"
    export = ("dcae-export", "--variant", "f64-demo", "--force")
    yield (*export, "--out", str(bundle))
    yield (*export, "--interpolate-positions", str(_LARGE_SIDE), "--out", str(large))
    yield (
        *("dcae", "reconstruct", str(bundle), str(out / _PHOTOGRAPH), "--force"),
        *("--out", str(out / "astronaut-back.png"), "--sheet", str(out / "reconstruction.png")),
    )
    asked = [word for label in labels for word in ("--label", label)]
    yield (
        *("dcae", "generate", str(bundle), *asked),
        *("--each", "--out", str(out / "classes"), "--force"),
    )
    yield (
        *("dcae", "generate", str(large), "--label", _LARGE_LABEL),
        *("--out", str(out / f"{_LARGE_LABEL}-{_LARGE_SIDE}.png"), "--force"),
    )
    yield ("dcae", "parity", str(bundle))


def _write_sheet(folder: Path, labels: list[str], target: Path) -> None:
    """The generated pictures edge to edge; picture i is of label i and seed i."""
    pictures = np.stack(
        [read_picture(folder / f"{label}-{seed}.png") for seed, label in enumerate(labels)]
    )
    rows = pictures.reshape(_PER_ROW, _PER_ROW, _SIDE, _SIDE, 3)
    sheet = cv2.vconcat([cv2.hconcat(list(row)) for row in rows])
    write_picture(target, np.asarray(sheet, np.uint8), force=True)


def _tell(out: Path, costs: list[Cost]) -> None:
    total, peak = sum(cost.seconds for cost in costs), max(cost.peak_bytes for cost in costs)
    side = _PER_ROW * _SIDE
    click.echo()
    for what, where in (
        ("photograph, reconstruction, error", out / "reconstruction.png"),
        (f"{_PER_ROW**2} generated pictures, {side}x{side}", out / "classes.png"),
        (
            f"one generated picture, {_LARGE_SIDE}x{_LARGE_SIDE}",
            out / f"{_LARGE_LABEL}-{_LARGE_SIDE}.png",
        ),
    ):
        click.echo(f"{what}: {where}")
    click.echo(
        "a small model, trained on drawn pictures: they show that everything works, not what DC-AE can do"
    )
    click.echo(f"{total:.0f} s; the largest process took {size_text(peak)}")


if __name__ == "__main__":
    sys.exit(run(command, prog_name="python -m recipes.demo.walkthrough"))
