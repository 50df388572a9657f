"""What ``latents.json`` says of a folder of latents: the only place that knows its shape."""

import json
import math
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from dcae_export.bundle.manifest import Items, Sha256, Size
from dcae_export.class_name import ClassName
from dcae_export.errors import InputError, RefusedError
from dcae_export.files.plain_file import plain_file
from dcae_export.files.whole_file import whole_file
from dcae_export.models.latent_source import LatentSource
from dcae_export.pictures.skipped import Skip

FORMAT_VERSION = 1
CONTENTS_NAME = "latents.json"
SHARDS = "latents-*.safetensors"
# A hundred million pictures' worth; bounded because what is parsed takes many times its bytes.
MAX_BYTES = 16 * 2**20
# Enough to see what is wrong, and few enough that the file stays small.
MAX_LISTED_SKIPS = 1000
# No object has a tenth of it. The errors of a validation are collected, and unknown keys are one each.
_MAX_KEYS = 256

_Count = Annotated[int, Field(ge=0, le=2**48)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PictureList(_Record):
    """How many pictures were found, and the sha256 of their names, each followed by a zero byte."""

    count: Size
    sha256: Sha256


class ShardRecord(_Record):
    """One file: how many latents it holds, and which pictures of its run have none.

    ``skipped`` lists no more than ``MAX_LISTED_SKIPS`` pictures in all shards.
    """

    file: str
    count: _Count
    sha256: Sha256
    skipped: Items[Skip]


class LatentContents(_Record):
    """Latents (``channels``, ``height``, ``width``) of the squares of ``size`` pixels that pictures were cut to.

    Shard k holds the pictures from k * ``pictures_per_shard`` on, in the order of their names. ``sampled`` latents
    are drawn from a posterior, each from ``seed`` and its picture's number. A label is a place in ``classes``,
    None where there are no labels. Until ``complete``, ``shards`` are the first of those that will be there.
    """

    format_version: Literal[1]
    autoencoder: LatentSource
    size: Size
    channels: Size
    height: Size
    width: Size
    sampled: bool
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    classes: Annotated[tuple[ClassName, ...], Field(fail_fast=True, min_length=1)] | None
    pictures: PictureList
    pictures_per_shard: Size
    count: _Count
    shards: Items[ShardRecord]
    complete: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, h, w) of one latent."""
        return self.channels, self.height, self.width

    @property
    def num_shards(self) -> int:
        """How many shards there are once all pictures are encoded."""
        return -(-self.pictures.count // self.pictures_per_shard)

    @property
    def num_done(self) -> int:
        """How many pictures the shards that are there account for."""
        return min(len(self.shards) * self.pictures_per_shard, self.pictures.count)

    def numbers_of(self, shard: int) -> range:
        """The numbers of a shard's pictures."""
        first = shard * self.pictures_per_shard
        return range(first, min(first + self.pictures_per_shard, self.pictures.count))

    @model_validator(mode="after")
    def _counts_agree(self) -> "LatentContents":
        if len(self.shards) > self.num_shards:
            raise ValueError("more shards than its pictures fill")
        if any(s.count > len(self.numbers_of(at)) for at, s in enumerate(self.shards)):
            raise ValueError("a shard has more latents than pictures")
        if sum(shard.count for shard in self.shards) != self.count:
            raise ValueError("count is not that of the shards")
        if self.complete and (len(self.shards) < self.num_shards or not self.count):
            raise ValueError("complete, and pictures or latents are missing")
        return self


def latent_bytes(shape: tuple[int, int, int]) -> int:
    """What one latent takes in a file and in memory."""
    return 4 * math.prod(shape)


def shard_name(number: int) -> str:
    """The file of a shard."""
    return f"latents-{number:05d}.safetensors"


def read_contents(folder: Path) -> LatentContents:
    """Read a folder's ``latents.json``, trusting nothing in it.

    Raises:
        InputError: It is missing, oversized, malformed, of a newer format, or contradicts itself.
        RefusedError: It is a link, or names a file that no shard has.
    """
    path = folder / CONTENTS_NAME
    text = _read_text(folder)
    _require_known_format(path, text)
    try:
        contents = LatentContents.model_validate_json(text, strict=True)
    except ValidationError as error:
        _raise_in_one_line(path, error)
    for number, shard in enumerate(contents.shards):
        if shard.file != shard_name(number):
            raise RefusedError(f"{path}: names {shard.file[:80]!r} for {shard_name(number)}")
    return contents


def write_contents(folder: Path, contents: LatentContents) -> None:
    """Replace a folder's ``latents.json``, whole or not at all.

    Raises:
        InputError: It cannot be written.
        ResourceError: The disk is full.
    """
    text = json.dumps(contents.model_dump(mode="json"), indent=1, ensure_ascii=False)
    with whole_file(folder / CONTENTS_NAME, force=True) as file:
        file.write(f"{text}\n".encode())


def _read_text(folder: Path) -> str:
    path = plain_file(folder, CONTENTS_NAME)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(
                f"{path}: more than {MAX_BYTES} bytes, which no folder of latents needs"
            )
        return data.decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error


def _require_known_format(path: Path, text: str) -> None:
    try:
        content: object = json.loads(text, object_pairs_hook=_bounded_object)
    # Too deep a nesting is a RecursionError; a number of too many digits is a ValueError.
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise InputError(f"{path}: cannot be read as JSON: {reason}") from error
    version = content.get("format_version") if isinstance(content, _Object) else None
    if type(version) is not int:
        raise InputError(f"{path}: must hold one JSON object with a format_version, an integer")
    if version > FORMAT_VERSION:
        raise InputError(
            f"{path}: format_version {version} is newer than {FORMAT_VERSION}, the newest that this "
            "version reads; update dcae-export"
        )


class _Object(dict[str, object]):
    """A JSON object of few keys, each of them once."""


def _bounded_object(pairs: list[tuple[str, object]]) -> _Object:
    content = _Object(pairs)
    if len(pairs) > _MAX_KEYS:
        raise ValueError(f"{len(pairs)} keys in one object, at most {_MAX_KEYS} are read")
    if len(content) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return content


def _raise_in_one_line(path: Path, error: ValidationError) -> NoReturn:
    first, *rest = error.errors(include_url=False, include_input=False)
    where = ".".join(str(part) for part in first["loc"])[:200]
    # The keys are the file's own words: a line break in one must not forge a second message.
    where = where if where.isprintable() else repr(where)
    expectation = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        expectation = "unknown key"
    more = f" (and {len(rest)} more)" if rest else ""
    raise InputError(f"{path}: {where}{': ' if where else ''}{expectation}{more}") from error
