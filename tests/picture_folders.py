"""Folders and shards of pictures of one colour each, which survives every crop and says which picture it is."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from crafted_pictures import encode
from numpy.typing import NDArray
from torch import Tensor

from dcae_export.training.data.image_folder import ImageFolderData
from dcae_export.training.data.shards import ShardData

SIDE = 8


def plain(number: int, size: tuple[int, int] = (SIDE, SIDE)) -> NDArray[np.uint8]:
    """A picture of (height, width) whose colour is the number, up to 65535."""
    return np.full((*size, 3), (number // 256, number % 256, 128), np.uint8)


def plain_png(number: int, size: tuple[int, int] = (SIDE, SIDE)) -> bytes:
    return encode(plain(number, size), ".png")


def number_of(image: Tensor) -> int:
    """The number of the picture that a (3, size, size) crop in [-1, 1] was cut out of."""
    assert image.shape[0] == 3
    levels = ((image[:, 0, 0] + 1) * 127.5).round().int().tolist()
    assert levels[2] == 128
    return levels[0] * 256 + levels[1]


def numbers_of(batches: Iterable[Tensor]) -> list[int]:
    return [number_of(image) for batch in batches for image in batch]


def take(
    data: ImageFolderData | ShardData, count: int, position: dict[str, int] | None = None
) -> list[tuple[Tensor, dict[str, int]]]:
    """The next batches, each with the position after it."""
    return list(islice(data.batches(position or {}), count))


def fill(folder: Path, numbers: Iterable[int]) -> Path:
    """Write plain pictures, spread over two subfolders."""
    for number in numbers:
        path = folder / f"class-{number % 2}" / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plain_png(number))
    return folder


def tar(members: Sequence[tuple[str, bytes]]) -> bytes:
    """An uncompressed tar of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def write_shard(path: Path, numbers: Iterable[int]) -> Path:
    """Write plain pictures as one shard, each with a label beside it."""
    members: list[tuple[str, bytes]] = []
    for number in numbers:
        members += [(f"{number:06d}.png", plain_png(number)), (f"{number:06d}.cls", b"7")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar(members))
    return path
