"""``dcae shards``: a folder of pictures as WebDataset shards, for training."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_note
from dcae_export.cli.option_types import WholeNumber
from dcae_export.cli.progress import Progress

if TYPE_CHECKING:
    from dcae_export.training.data.write_shards import WrittenShards

_DEFAULT_SIZE_MB = 500


@command_with(
    name="shards",
    examples=(
        "dcae shards ~/images --out ~/sets/mine",
        "dcae shards imagenet/train --out sets/imagenet --size-mb 1000",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option(
    "--size-mb",
    type=WholeNumber(min=1),
    default=_DEFAULT_SIZE_MB,
    show_default=True,
    help="Begin the next shard at this size.",
)
@json_option
def command(*, folder: Path, out: Path, size_mb: int, as_json: bool) -> None:
    """Write the pictures of FOLDER, in a random order, as WebDataset shards for training.

    The files stay as they are, byte for byte; one that cannot be read is left out and named.
    """
    with Progress("reading headers") as progress:
        from dcae_export.training.data.write_shards import write_shards

        written = write_shards(
            folder,
            out,
            max_bytes=size_mb * 10**6,
            on_progress=lambda done, total: progress.stage(f"writing picture {done} of {total}"),
        )
    _print(out, written, as_json=as_json)


def _print(out: Path, written: "WrittenShards", *, as_json: bool) -> None:
    if as_json:
        skipped = [
            {"name": skip.name, "reason": skip.reason.value, "detail": skip.detail}
            for skip in written.skipped.listed
        ]
        print_json(
            {
                "out": str(out),
                "shards": written.num_shards,
                "pictures": written.num_pictures,
                "num_skipped": len(written.skipped),
                "skipped": skipped,
            }
        )
        return
    if len(written.skipped):
        first = written.skipped.listed[0]
        print_note(
            f"left out: {written.skipped}; the first, {first.name}: {first.detail}; --json lists them"
        )
    click.echo(f"{out}: {written.num_pictures} pictures in {written.num_shards} shards")
