"""A folder of latents while it is made: begun, grown by whole shards, and gone on with after a kill."""

import re
import shutil
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from dcae_export.errors import BusyError, InputError, PictureError, ResourceError
from dcae_export.files.folder_swap import sync_folder
from dcae_export.files.writer_lock import writer_lock
from dcae_export.pictures.skipped import Skipped
from dcae_export.training.latents.contents import (
    CONTENTS_NAME,
    MAX_LISTED_SKIPS,
    SHARDS,
    LatentContents,
    ShardRecord,
    latent_bytes,
    read_contents,
    write_contents,
)
from dcae_export.training.latents.shard import map_shard

SKIPPED_NAME: Final = "skipped.csv"
# A file that is not whole yet.
_STAGED: Final = re.compile(r"\.dcae-[0-9a-f]{16}\.tmp")


@contextmanager
def begun(target: Path, wanted: LatentContents) -> Generator[LatentContents]:
    """Be the one process that writes the contents of a folder, and make the folder where it is not there.

    Args:
        target: The folder.
        wanted: What its contents are to say, without shards.

    Yields:
        What is there: ``wanted``, or what a process before has come to.

    Raises:
        InputError: The folder holds something else, was begun with something else, is damaged, or cannot be
            written.
        RefusedError: A file in it is a link or no regular file.
        BusyError: Another process writes it.
        ResourceError: The disk has too little room for what is left.
    """
    with ExitStack() as stack:
        try:
            target.mkdir(parents=True, exist_ok=True)
            stack.enter_context(writer_lock(target / CONTENTS_NAME))
            contents = _beginning(target, wanted)
        except BusyError as error:
            raise BusyError(
                f"{target}: another process encodes into it; let it end, or choose another folder"
            ) from error
        except OSError as error:
            raise InputError(
                f"{target}: cannot be written: {error.strerror}; choose another folder"
            ) from error
        yield contents


def require_same_encoding(target: Path, *, stored: LatentContents, wanted: LatentContents) -> None:
    """Check that a folder goes on as it was begun.

    Raises:
        InputError: It was begun with other pictures or settings; the message names both.
    """
    if stored.pictures != wanted.pictures:
        raise InputError(
            f"{target}: was begun with other pictures: {stored.pictures.count} then, "
            f"{wanted.pictures.count} of other names or places now; give the folder as it was then, "
            "or encode anew into another --out"
        )
    for before, now in zip(_identity(stored), _identity(wanted), strict=True):
        if before != now:
            raise InputError(
                f"{target}: was begun with {before}, and this is {now}; go on with what it was begun "
                "with, or choose another --out"
            )


def append(target: Path, contents: LatentContents, shards: Sequence[ShardRecord]) -> LatentContents:
    """Make shards, whose files are there, a part of the folder.

    Raises:
        InputError: The contents cannot be written.
        ResourceError: The disk is full.
    """
    room = MAX_LISTED_SKIPS - sum(len(shard.skipped) for shard in contents.shards)
    listed: list[ShardRecord] = []
    for shard in shards:
        listed.append(shard.model_copy(update={"skipped": shard.skipped[: max(room, 0)]}))
        room -= len(shard.skipped)
    grown = contents.model_copy(
        update={
            "count": contents.count + sum(shard.count for shard in shards),
            "shards": (*contents.shards, *listed),
        }
    )
    # The shards' names are on the disk before the contents tell them.
    sync_folder(target)
    write_contents(target, grown)
    return grown


def complete(target: Path, contents: LatentContents, skipped: Skipped) -> LatentContents:
    """Say that nothing is missing; what was left out is listed in ``skipped.csv``.

    Raises:
        PictureError: Not one picture could be encoded.
        InputError: A file cannot be written.
        ResourceError: The disk is full.
    """
    if not contents.count:
        raise PictureError(f"{target}: no picture could be decoded ({skipped})")
    if len(skipped):
        skipped.write_csv(target / SKIPPED_NAME)
    finished = contents.model_copy(update={"complete": True})
    write_contents(target, finished)
    sync_folder(target)
    return finished


def _beginning(target: Path, wanted: LatentContents) -> LatentContents:
    contents = _stored(target)
    if contents is None or not contents.shards:
        contents = wanted
        write_contents(target, contents)
    require_same_encoding(target, stored=contents, wanted=wanted)
    _remove_stale(target, contents)
    for number in range(len(contents.shards)):
        map_shard(target, contents, number)
    _require_space(target, contents)
    return contents


def _stored(target: Path) -> LatentContents | None:
    """The contents that are there; None where the folder is empty but for hidden files."""
    if (target / CONTENTS_NAME).exists():
        return read_contents(target)
    others = sorted(path.name for path in target.iterdir() if not path.name.startswith("."))
    if others:
        raise InputError(f"{target}: holds {others[0]} and no {CONTENTS_NAME}; choose a new folder")
    return None


def _remove_stale(target: Path, contents: LatentContents) -> None:
    """Remove what a killed writer left: files that were not whole, or whole and not told of."""
    listed = {shard.file for shard in contents.shards}
    for path in target.iterdir():
        unlisted = path.match(SHARDS) and path.name not in listed
        if unlisted or _STAGED.fullmatch(path.name):
            path.unlink()


def _require_space(target: Path, contents: LatentContents) -> None:
    needed = (contents.pictures.count - contents.num_done) * latent_bytes(contents.shape)
    free = shutil.disk_usage(target).free
    if free < needed:
        raise ResourceError(
            f"{target}: the latents that are left need {needed / 1e9:.2f} GB of disk, "
            f"{free / 1e9:.2f} GB are free; make room or choose another disk"
        )


def _identity(contents: LatentContents) -> tuple[str, ...]:
    """What decides the latents, in words."""
    return (
        f"an encoder of sha256 {contents.autoencoder.encoder_sha256}",
        f"scaling factor {contents.autoencoder.scaling_factor}",
        f"size {contents.size}",
        f"seed {contents.seed}",
        "no labels" if contents.classes is None else f"{len(contents.classes)} classes",
    )
