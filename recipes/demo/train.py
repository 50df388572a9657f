"""Train the demo model and put it into the package: ``python -m recipes.demo.train --help``.

Every step is a public command, shown as it would be typed. What is complete is left, what was begun goes on: after any
interruption the same call goes on.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from dcae_export.cli.failures import run
from dcae_export.models.finished_run import MODEL_NAME, is_run
from recipes.demo.public_command import run_public

# Drawn pictures of each family that the autoencoder is trained on, and their side in pixels.
AUTOENCODER_PICTURES: Final = (600, 512)
# Random crops of each photograph for the autoencoder, and their side.
PHOTOGRAPH_CROPS: Final = (60, 256)
# Drawn pictures of each family by their side, for the transformer; the largest take 16 times the time of the smallest.
TRANSFORMER_PICTURES: Final = {512: 1000, 1024: 120, 2048: 30}
# The size at which the transformer learns first.
_FIRST_SIDE: Final = 512
# Latents come from one process at a time: a picture of 2048 px takes a gigabyte.
_LATENT_BATCHES: Final = {512: 8, 1024: 2, 2048: 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One command; ``run`` is the training run that it makes, None where the command itself leaves what is complete."""

    words: tuple[str, ...]
    run: Path | None = None


@click.command(name="train")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-model"),
    show_default=True,
    help="For pictures, latents and runs.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dcae_export/demo"),
    show_default=True,
    help="Where the trained model goes.",
)
def command(*, folder: Path, out: Path) -> None:
    """Draw pictures, train the autoencoder in three phases, encode latents, train the transformer, ship both."""
    for step in steps(folder, out):
        words = words_to_run(step)
        if words is None:
            click.echo(f"{step.run}: is complete")
        else:
            run_public(*words)


def words_to_run(step: Step) -> tuple[str, ...] | None:
    """What is left of a step: its command, that with ``--resume`` for a run that was begun, or nothing."""
    if step.run is None or not is_run(step.run):
        return step.words
    if (step.run / MODEL_NAME).is_dir():
        return None
    return (*step.words, "--resume")


def steps(folder: Path, out: Path) -> Iterator[Step]:
    """The whole training in its order.

    Args:
        folder: For pictures, latents and runs.
        out: Where the demo model goes.
    """
    yield from _autoencoder_pictures(folder)
    for side, count in TRANSFORMER_PICTURES.items():
        yield _draw(count, side, _pictures(folder, side))
    yield from _autoencoder(folder)
    for side in TRANSFORMER_PICTURES:
        yield Step(
            words=(
                *("dcae", "latents", "--autoencoder", str(_run(folder, "phase3"))),
                *("--data", str(_pictures(folder, side)), "--out", str(_latents(folder, side))),
                *("--size", str(side), "--batch-size", str(_LATENT_BATCHES[side])),
            )
        )
    yield from _transformer(folder)
    yield Step(
        words=(
            *("python", "-m", "recipes.demo.ship", "--autoencoder", str(_run(folder, "phase3"))),
            *("--transformer", str(_run(folder, "usit")), "--out", str(out)),
        )
    )


def _autoencoder_pictures(folder: Path) -> Iterator[Step]:
    count, side = AUTOENCODER_PICTURES
    yield _draw(count, side, _mixture(folder) / "pictures")
    crops, side = PHOTOGRAPH_CROPS
    yield Step(
        words=(
            *("python", "-m", "recipes.demo.photographs"),
            *("--crops", str(crops), "--side", str(side)),
            *("--out", str(_mixture(folder) / "photographs")),
        )
    )


def _autoencoder(folder: Path) -> Iterator[Step]:
    """The three phases: low resolution, the layers beside the latent at high resolution, the decoder's end."""
    before: Path | None = None
    for name in ("phase1", "phase2", "phase3"):
        target = _run(folder, name)
        start = () if before is None else ("--init-from", str(before))
        yield Step(
            words=(
                *("dcae", "train", "autoencoder", f"f64-demo-{name}"),
                *("--data", str(_mixture(folder)), "--out", str(target), *start),
            ),
            run=target,
        )
        before = target


def _transformer(folder: Path) -> Iterator[Step]:
    """One size first, then all of them in turn, at a lower rate."""
    first, last = _run(folder, "usit-512"), _run(folder, "usit")
    yield Step(
        words=(
            *("dcae", "train", "diffusion", "f64-demo-usit-512"),
            *("--data", str(_latents(folder, _FIRST_SIDE)), "--out", str(first)),
        ),
        run=first,
    )
    latents = [
        word for side in TRANSFORMER_PICTURES for word in ("--data", str(_latents(folder, side)))
    ]
    yield Step(
        words=(
            *("dcae", "train", "diffusion", "f64-demo-usit", *latents),
            *("--out", str(last), "--init-from", str(first)),
        ),
        run=last,
    )


def _draw(count: int, side: int, target: Path) -> Step:
    return Step(
        words=(
            *("python", "-m", "recipes.demo.draw", "--split", "training"),
            *("--count", str(count), "--side", str(side), "--out", str(target)),
        )
    )


def _mixture(folder: Path) -> Path:
    """What the autoencoder is trained on: drawn pictures and crops of photographs."""
    return folder / "training"


def _pictures(folder: Path, side: int) -> Path:
    return folder / "pictures" / str(side)


def _latents(folder: Path, side: int) -> Path:
    return folder / "latents" / str(side)


def _run(folder: Path, name: str) -> Path:
    return folder / "runs" / name


if __name__ == "__main__":
    sys.exit(run(command, prog_name="python -m recipes.demo.train"))
