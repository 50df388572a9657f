"""Write the pictures of a folder as shards of WebDataset."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import Final

import numpy as np
from webdataset import TarWriter

from dcae_export.errors import InputError, PictureError, ResourceError
from dcae_export.files.folder_swap import sync_folder
from dcae_export.pictures.file_names import FileNames
from dcae_export.pictures.folder_scan import scan
from dcae_export.pictures.picture_header import PictureFormat, read_header
from dcae_export.pictures.skipped import Skip, Skipped, SkipReason

_EXTENSIONS: Final = {
    PictureFormat.PNG: "png",
    PictureFormat.JPEG: "jpg",
    PictureFormat.WEBP: "webp",
}
# Folders are sorted by class, and a reader's buffer mixes no further than a shard or two.
_ORDER_SEED: Final = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenShards:
    """What was written, and what was left out."""

    num_shards: int
    num_pictures: int
    skipped: Skipped


def write_shards(
    folder: Path,
    target: Path,
    *,
    max_bytes: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> WrittenShards:
    """Write a folder's pictures in a random order into ``shard-000000.tar`` and so on.

    The files' bytes stay as they are, under numbers for names; equal folders give equal shards. The target
    appears whole or not at all.

    Args:
        folder: The pictures, found as for training; small ones are taken, too.
        target: A folder that does not exist.
        max_bytes: The size at which the next shard is begun; a larger picture has a shard of its own.
        on_progress: Called with the numbers of written and of all pictures.

    Raises:
        PictureError: The folder holds no picture.
        InputError: The target exists or cannot be written.
        ResourceError: The disk is full.
    """
    if target.exists():
        raise InputError(f"{target}: exists already; choose another folder")
    names, skipped = scan(folder, min_side=1)
    staging = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
    except FileExistsError as error:
        raise InputError(
            f"{staging}: another process is writing these shards, or was killed; remove the folder "
            "in the second case"
        ) from error
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        pictures = _pictures(folder, names, skipped, on_progress)
        num_shards, num_pictures = _write(pictures, staging, max_bytes=max_bytes)
        if not num_pictures:
            raise PictureError(f"{folder}: no picture of it is whole ({skipped})")
        sync_folder(staging)
        staging.rename(target)
    except OSError as error:
        message = f"{target}: cannot be written: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(f"{message}; free some space or choose another disk") from error
        raise InputError(message) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return WrittenShards(num_shards=num_shards, num_pictures=num_pictures, skipped=skipped)


def _pictures(
    folder: Path,
    names: FileNames,
    skipped: Skipped,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[str, bytes]]:
    """Extension and bytes of each picture that is whole, in the order in which they are written."""
    order = np.random.default_rng(_ORDER_SEED).permutation(len(names))
    for done, at in enumerate(order, 1):
        name = names[int(at)]
        try:
            data = (folder / name).read_bytes()
            extension = _EXTENSIONS[read_header(data).format]
        except PictureError as error:
            skipped.add([Skip.of(name, SkipReason.UNREADABLE, error)])
        except OSError as error:
            skipped.add([Skip.of(name, SkipReason.UNREADABLE, error.strerror)])
        else:
            yield extension, data
        if on_progress is not None:
            on_progress(done, len(names))


def _write(
    pictures: Iterator[tuple[str, bytes]], folder: Path, *, max_bytes: int
) -> tuple[int, int]:
    """Fill one shard after another; how many shards, and how many pictures in them."""
    num_shards = num_pictures = 0
    for number, members in groupby(_numbered(pictures, max_bytes), key=itemgetter(0)):
        with (folder / f"shard-{number:06d}.tar").open("xb") as file:
            tar = TarWriter(file, user="", group="", encoder=False, mtime=0)
            for _, extension, data in members:
                tar.write({"__key__": f"{num_pictures:09d}", extension: data})
                num_pictures += 1
            tar.close()
            file.flush()
            os.fsync(file.fileno())
        num_shards += 1
    return num_shards, num_pictures


def _numbered(
    pictures: Iterator[tuple[str, bytes]], max_bytes: int
) -> Iterator[tuple[int, str, bytes]]:
    """Each picture with the number of its shard."""
    shard = held = 0
    for extension, data in pictures:
        # A header, and the bytes filled up to whole blocks.
        num_bytes = (1 + -(-len(data) // BLOCKSIZE)) * BLOCKSIZE
        if held and held + num_bytes > max_bytes:
            shard, held = shard + 1, 0
        held += num_bytes
        yield shard, extension, data
