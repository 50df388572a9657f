"""One file of latents: written whole, and mapped only after its header was checked."""

import hashlib
from pathlib import Path
from typing import Protocol, Self, cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dcae_export.errors import InputError, ParityError, RefusedError
from dcae_export.files.plain_file import plain_file
from dcae_export.files.sha256 import sha256
from dcae_export.files.whole_file import whole_file
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.contents import LatentContents

LATENTS = "latents"
LABELS = "labels"

_Form = tuple[str, list[int]]


class _Part(Protocol):
    """What a header says of one tensor."""

    def get_dtype(self) -> str: ...
    def get_shape(self) -> list[int]: ...


class _File(Protocol):
    """What is used of ``safe_open``, which comes without types."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def keys(self) -> list[str]: ...
    def get_slice(self, name: str) -> _Part: ...
    def get_tensor(self, name: str) -> Tensor: ...


def write_shard(path: Path, batch: LatentBatch) -> str:
    """Write latents, and their labels where they have any; a file that is there is replaced.

    Returns:
        The file's sha256.

    Raises:
        ParityError: A latent is not finite.
        InputError: The file cannot be written.
        ResourceError: The disk is full.
    """
    finite = batch.latents.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        raise ParityError(
            f"{path}: latent {int(finite.int().argmin())} of it is not finite; the autoencoder's weights "
            "are at fault, name others"
        )
    tensors = {LATENTS: batch.latents.contiguous()}
    if batch.labels is not None:
        tensors[LABELS] = batch.labels
    data = save(tensors)
    with whole_file(path, force=True) as file:
        file.write(data)
    return hashlib.sha256(data).hexdigest()


def map_shard(folder: Path, contents: LatentContents, number: int) -> LatentBatch:
    """Map a shard: its pages are read as they are used, and given back where memory is short.

    Returns:
        Its latents and labels, as views of the file.

    Raises:
        InputError: It is missing or damaged, or not what the contents say.
        RefusedError: It is a link, or no regular file.
    """
    shard = contents.shards[number]
    path = plain_file(folder, shard.file)
    expected: dict[str, _Form] = {LATENTS: ("F32", [shard.count, *contents.shape])}
    if contents.classes is not None:
        expected[LABELS] = ("I64", [shard.count])
    try:
        with cast("_File", safe_open(path, framework="pt")) as file:
            _check_header(file, expected)
            latents = file.get_tensor(LATENTS)
            labels = None if contents.classes is None else file.get_tensor(LABELS)
            _check_labels(labels, contents)
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(
            f"{path}: damaged ({_first_line(error)}); copy or encode it again"
        ) from error
    return LatentBatch(latents=latents, labels=labels)


def verify_shard(folder: Path, contents: LatentContents, number: int) -> None:
    """Compare a shard's bytes with its hash.

    Raises:
        InputError: It is missing or cannot be read.
        RefusedError: It has another hash than the contents say; or it is a link, or no regular file.
    """
    shard = contents.shards[number]
    path = plain_file(folder, shard.file)
    try:
        with path.open("rb") as file:
            digest = sha256(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if digest != shard.sha256:
        raise RefusedError(f"{path}: has another sha256 than its folder says; copy it again")


def _check_header(file: _File, expected: dict[str, _Form]) -> None:
    names = set(file.keys())
    if names != expected.keys():
        odd = min(names ^ expected.keys())
        raise ValueError(
            f"{odd[:80]!r} is missing" if odd in expected else f"it holds {odd[:80]!r}"
        )
    for name, form in expected.items():
        part = file.get_slice(name)
        found = part.get_dtype(), part.get_shape()
        if found != form:
            raise ValueError(f"{name} is {found[0]} {found[1]} for {form[0]} {form[1]}")


def _check_labels(labels: Tensor | None, contents: LatentContents) -> None:
    if labels is None or contents.classes is None or not len(labels):
        return
    low, high = (int(extremum) for extremum in labels.aminmax())
    if low < 0 or high >= len(contents.classes):
        raise ValueError(f"labels from {low} to {high}, there are {len(contents.classes)} classes")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
