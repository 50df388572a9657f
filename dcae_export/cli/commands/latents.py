"""``dcae latents``: a folder of pictures as latents, for diffusion training."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_note
from dcae_export.cli.option_types import WholeNumber
from dcae_export.cli.progress import Progress
from dcae_export.errors import CancelledError, UsageError

if TYPE_CHECKING:
    from dcae_export.training.latents.encode import EncodedLatents, EncodingSettings

_LONGEST_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """What the command line asks for, but for how the encoder works."""

    autoencoder: str | None
    variant: str | None
    data: Path
    out: Path
    min_side: int
    flat: bool


@command_with(
    name="latents",
    examples=(
        "dcae latents --variant f64 --data imagenet/train --out latents/ --size 512",
        "dcae latents --autoencoder runs/f64 --data ~/images --out latents/ --size 512",
        "dcae latents --variant sd-f8 --data ~/images --out latents-f8/ --size 512 --flat",
    ),
)
@click.option(
    "--autoencoder",
    metavar="RUN|PATH|ORG/NAME|random:SEED",
    help="Weights.  [default: the variant's official ones]",
)
@click.option("--variant", help="A name of `dcae list`.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Pictures; folders inside it are classes.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="The folder of latents; one that is not complete is gone on with.",
)
@click.option(
    "--size",
    type=WholeNumber(min=1),
    required=True,
    help="The side of the squares that are cut, in pixels.",
)
@click.option("--flat", is_flag=True, help="No labels, wherever the pictures lie.")
@click.option(
    "--min-side",
    type=WholeNumber(min=1),
    default=1,
    show_default=True,
    help="Leave out pictures with a shorter side; below SIZE they are enlarged.",
)
@click.option(
    "--seed",
    type=WholeNumber(min=0, max=_LONGEST_SEED),
    default=0,
    show_default=True,
    help="Draws the latents of an SD-VAE.",
)
@click.option(
    "--batch-size",
    type=WholeNumber(min=1),
    default=8,
    show_default=True,
    help="Pictures at a time.",
)
@click.option(
    "--workers",
    type=WholeNumber(min=0),
    default=2,
    show_default=True,
    help="Processes that read pictures.",
)
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    autoencoder: str | None,
    variant: str | None,
    data: Path,
    out: Path,
    size: int,
    flat: bool,
    min_side: int,
    seed: int,
    batch_size: int,
    workers: int,
    as_json: bool,
) -> None:
    """Encode the pictures of a folder once, as latents that a diffusion is trained on.

    After any interruption the same command goes on. Pictures are cut as ADM's evaluation does; one that cannot be
    read is left out and named.
    """
    request = _Request(
        autoencoder=autoencoder,
        variant=variant,
        data=data,
        out=out,
        min_side=min_side,
        flat=flat,
    )
    _check(request)
    with Progress("importing PyTorch") as progress:
        from dcae_export.training.latents.encode import EncodingSettings

        settings = EncodingSettings(size=size, seed=seed, batch_size=batch_size, workers=workers)
        try:
            encoded = _encode(request, settings, progress)
        except KeyboardInterrupt as error:
            raise CancelledError(f"{out}: interrupted; the same command goes on") from error
    if encoded is not None:
        _print(out, encoded, as_json=as_json)


def _check(request: _Request) -> None:
    if request.autoencoder is None and request.variant is None:
        raise UsageError("say which autoencoder: --autoencoder, or --variant for published weights")
    if request.out.resolve().is_relative_to(request.data.resolve()):
        raise UsageError(f"{request.out}: lies among the pictures; choose another --out")


def _encode(
    request: _Request, settings: "EncodingSettings", progress: Progress
) -> "EncodedLatents | None":
    from dcae_export.cli.encoding_progress import EncodingProgress
    from dcae_export.models.source import resolve
    from dcae_export.training.data.labelled_pictures import find_pictures
    from dcae_export.training.latents.encode import encode_latents

    progress.stage("reading weights")
    checkpoint = resolve(request.autoencoder, variant=request.variant, option="--autoencoder")
    progress.stage("reading headers")
    pictures = find_pictures(
        request.data,
        min_side=request.min_side,
        flat=request.flat,
        on_progress=lambda done, total: progress.stage(f"reading header {done} of {total}"),
    )
    return encode_latents(
        checkpoint, pictures, request.out, settings, on_progress=EncodingProgress(progress)
    )


def _print(out: Path, encoded: "EncodedLatents", *, as_json: bool) -> None:
    contents = encoded.contents
    if as_json:
        skipped = [
            {"name": skip.name, "reason": skip.reason.value, "detail": skip.detail}
            for skip in encoded.skipped.listed
        ]
        print_json(
            {
                "out": str(out),
                "latents": contents.count,
                "shape": contents.shape,
                "classes": None if contents.classes is None else len(contents.classes),
                "shards": len(contents.shards),
                "scaling_factor": contents.autoencoder.scaling_factor,
                "sampled": contents.sampled,
                "random_weights": contents.autoencoder.random_weights,
                "num_new": encoded.num_new,
                "num_skipped": encoded.num_skipped,
                "skipped": skipped,
            }
        )
        return
    if encoded.num_skipped:
        first = encoded.skipped.listed[0]
        print_note(
            f"left out: {encoded.num_skipped} pictures; the first, {first.name}: {first.detail}; "
            f"{out / 'skipped.csv'} lists them"
        )
    if contents.autoencoder.random_weights:
        print_note("these are latents of random weights: nothing can be learned from them")
    channels, height, width = contents.shape
    labels = "no labels" if contents.classes is None else f"{len(contents.classes)} classes"
    done = "" if encoded.num_new else "was complete: "
    click.echo(f"{out}: {done}{contents.count} latents of {channels}x{height}x{width}, {labels}")
