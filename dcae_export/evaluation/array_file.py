"""Named arrays in one .npz file: written whole, read without evaluating anything in it."""

import math
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import InputError
from dcae_export.files.array_header import MAX_HEADER_BYTES, parse_array_header
from dcae_export.files.whole_file import whole_file

# A covariance of 2048 features has 2^25 bytes.
_MAX_BYTES: Final = 2**28
_MAX_ARRAYS: Final = 64
_SUFFIX: Final = ".npy"
_NUMBERS: Final = ("f8", "f4", "i8", "u1")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]], *, force: bool) -> None:
    """Write arrays of numbers or text.

    Raises:
        InputError: The target exists and force is not given, or cannot be written.
        ResourceError: The disk is full.
    """
    with whole_file(path, force=force) as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType] - typed for one of its own options, too


def read_arrays(
    path: Path, *, names: Collection[str] | None = None
) -> dict[str, NDArray[np.generic]]:
    """Read the arrays of these names that a file has, None for all of them; plain or deflated.

    Nothing of the file is evaluated or unpickled, and an array's size is known before its memory is taken.

    Raises:
        InputError: The file is missing or damaged, or what was asked for is no array of numbers or text, or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _read(archive, info) for name, info in _members(archive, names).items()}
    # What zipfile raises of damaged, encrypted and otherwise compressed members.
    except (
        OSError,
        ValueError,
        RuntimeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: cannot be read as .npz: {reason}; make it again") from error


def _members(archive: zipfile.ZipFile, names: Collection[str] | None) -> dict[str, zipfile.ZipInfo]:
    members = {info.filename.removesuffix(_SUFFIX): info for info in archive.infolist()}
    wanted = {name: info for name, info in members.items() if names is None or name in names}
    if len(wanted) > _MAX_ARRAYS:
        raise ValueError(f"{len(wanted)} arrays, at most {_MAX_ARRAYS} are read")
    return wanted


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[np.generic]:
    if info.file_size > _MAX_BYTES:
        raise ValueError(f"{info.filename}: {info.file_size} bytes, at most {_MAX_BYTES} are read")
    with archive.open(info) as member:
        data = member.read()
    header = parse_array_header(data[:MAX_HEADER_BYTES])
    if header is None or not _is_plain(header.dtype):
        raise ValueError(f"{info.filename} is no array of numbers or text")
    dtype = np.dtype(header.dtype)
    if math.prod(header.shape) * dtype.itemsize != len(data) - header.start:
        raise ValueError(f"{info.filename} has another size than its header says")
    values = np.frombuffer(data, dtype, offset=header.start)
    return values.reshape(header.shape, order="F" if header.is_fortran else "C")


def _is_plain(dtype: str) -> bool:
    kind = dtype[1:]
    return kind in _NUMBERS or (kind[0] == "U" and kind[1:].isdecimal() and int(kind[1:]) > 0)
