"""The pictures in a shard of WebDataset: a plain tar whose files of one name are one sample.

Read here and not by WebDataset's own reader, which takes each file into memory whatever its size, unpacks
compressed archives of any size, and takes damage in the middle for the end. Nothing is unpickled: only files
that end in .jpg, .jpeg, .png or .webp are looked at.
"""

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Self

from webdataset.tariterators import base_plus_ext, group_by_keys

from dcae_export.errors import PictureError
from dcae_export.pictures.picture_file import MAX_BYTES
from dcae_export.pictures.picture_header import read_header
from dcae_export.pictures.skipped import Skip, SkipReason, size_problem

# The name of a file may take an extended header; those of other programs are a few kilobytes.
_MAX_EXTENDED_HEADER_BYTES: Final = 2**20
_EXTENDED_HEADERS: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
# In this order: a PNG beside a JPEG of the same name is its mask.
_EXTENSIONS: Final = ("jpg", "jpeg", "webp", "png")


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedPicture:
    """A picture file out of a shard, whole by its header and of a size that can be trained on."""

    name: str
    data: bytes


class _Header(tarfile.TarInfo):
    """A tar header that is refused where tarfile would end quietly or take any amount of memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                # The end of the archive, which tarfile knows by this error.
                raise
            raise tarfile.ReadError("truncated or damaged, or no uncompressed tar") from error
        if header.size < 0:
            raise tarfile.ReadError("damaged: a file of negative size")
        if header.type in _EXTENDED_HEADERS and header.size > _MAX_EXTENDED_HEADER_BYTES:
            raise tarfile.ReadError("damaged: a header of more than a megabyte")
        return header


def tar_pictures(
    stream: BinaryIO, shard: str, *, min_side: int, report: Callable[[Skip], None]
) -> Iterator[EncodedPicture]:
    """The pictures of a shard in their order; one of each sample.

    Args:
        stream: The shard from its beginning; it is only read forwards.
        shard: What the shard is called.
        min_side: The shortest side in pixels that a picture may have.
        report: Told of each picture that is left out.

    Yields:
        Pictures whose headers are read: whole, and neither too small nor too large.

    Raises:
        tarfile.TarError, OSError, ValueError: The shard is damaged, truncated or no plain tar.
    """

    def duplicate(error: Exception) -> bool:
        file, _, detail = str(error.args[0]).partition(": ")
        report(Skip.of(f"{shard}/{file}", SkipReason.UNREADABLE, detail))
        return True

    files = _picture_files(stream, shard, report)
    for sample in group_by_keys(files, handler=duplicate):
        extension = next(extension for extension in _EXTENSIONS if extension in sample)
        data = sample[extension]
        assert isinstance(data, bytes)
        name = f"{shard}/{sample['__key__']}.{extension}"
        problem = _problem(name, data, min_side=min_side)
        if problem is None:
            yield EncodedPicture(name=name, data=data)
        else:
            report(problem)


def _picture_files(
    stream: BinaryIO, shard: str, report: Callable[[Skip], None]
) -> Iterator[dict[str, str | bytes]]:
    """The files with a picture's extension, in the form that WebDataset groups."""
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
        for member in archive:
            _, extension = base_plus_ext(member.name)
            if not member.isreg() or extension is None or extension.lower() not in _EXTENSIONS:
                continue
            if member.size > MAX_BYTES:
                detail = f"{member.size} bytes, at most {MAX_BYTES} are read"
                report(Skip.of(f"{shard}/{member.name}", SkipReason.TOO_LARGE, detail))
                continue
            content = archive.extractfile(member)
            assert content is not None
            yield {"fname": member.name, "data": content.read(), "__url__": shard}


def _problem(name: str, data: bytes, *, min_side: int) -> Skip | None:
    try:
        header = read_header(data)
    except PictureError as error:
        return Skip.of(name, SkipReason.UNREADABLE, error)
    return size_problem(name, (header.width, header.height), min_side=min_side)
