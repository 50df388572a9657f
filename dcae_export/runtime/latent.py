"""Latents as files: NumPy's .npy, float32, the raw latent as the encoder gives it."""

import math
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Graph
from dcae_export.errors import InputError, UsageError
from dcae_export.files.array_header import MAX_HEADER_BYTES, parse_array_header
from dcae_export.files.whole_file import check_target, whole_file

_MAX_NOISE_BYTES = 2**30
_SAVE_AGAIN = "save it with numpy.save(path, numpy.ascontiguousarray(latent, 'float32'))"


def check_latent_target(path: Path, *, force: bool) -> None:
    """Check before the work that a latent can be written.

    Raises:
        UsageError: The suffix is not .npy.
        InputError: The target exists and force is not given, or its folder does not exist.
    """
    _check_suffix(path)
    check_target(path, force=force)


def write_latent(path: Path, latent: NDArray[np.float32], *, force: bool = False) -> None:
    """Write a latent, whole or not at all.

    Raises:
        UsageError: The suffix is not .npy.
        InputError: The target exists and force is not given, or cannot be written.
        ResourceError: The disk is full.
    """
    _check_suffix(path)
    with whole_file(path, force=force) as file:
        np.save(file, latent.astype("<f4", copy=False), allow_pickle=False)


def read_latent(path: Path, graph: Graph) -> NDArray[np.float32]:
    """Read a latent, its type and shape held to the decoder's before memory is taken.

    Args:
        path: A regular file, or a link to one.
        graph: The decoder as the manifest describes it.

    Returns:
        The latent, (batch, channels, height, width).

    Raises:
        InputError: The file is no latent of this decoder, or is not finite.
    """
    return _read(path, lambda shape: _check_shape(path, shape, graph))


def read_noise(path: Path) -> NDArray[np.float32]:
    """Read the noise with which a sampler begins, bounded before memory is taken.

    Returns:
        (N, channels, height, width).

    Raises:
        InputError: The file is no such array, or is not finite.
    """
    return _read(path, lambda shape: _check_noise(path, shape))


def _read(path: Path, check: Callable[[tuple[int, ...]], None]) -> NDArray[np.float32]:
    """Read an array whose shape ``check`` accepts."""
    try:
        status = path.stat()
        # A pipe or device would block or never end, so this is asked before opening.
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a regular file; give the path of a latent")
        with path.open("rb") as file:
            shape, start = _read_header(path, file)
            check(shape)
            size = 4 * math.prod(shape)
            if status.st_size - start != size:
                raise InputError(
                    f"{path}: {status.st_size - start} bytes of data, {size} expected; "
                    "the file is damaged, make it again"
                )
            file.seek(start)
            data = file.read(size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    if len(data) != size:
        raise InputError(f"{path}: changed while it was read; try again")
    latent = np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)
    if not np.isfinite(latent).all():
        raise InputError(f"{path}: holds values that are not finite; make the latent again")
    return latent


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() != ".npy":
        raise UsageError(f"{path}: a latent is a .npy file; give --out that suffix")


def _read_header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], int]:
    header = parse_array_header(file.read(MAX_HEADER_BYTES))
    if header is None:
        raise InputError(f"{path}: not an array of numbers in NumPy's format; {_SAVE_AGAIN}")
    if header.dtype != "<f4":
        raise InputError(f"{path}: holds {header.dtype} and not float32; {_SAVE_AGAIN}")
    if header.is_fortran:
        raise InputError(f"{path}: its axes are stored in reverse; {_SAVE_AGAIN}")
    return header.shape, header.start


def _check_noise(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) != 4:
        raise InputError(f"{path}: shape {list(shape)}; noise is (N, channels, height, width)")
    if 4 * math.prod(shape) > _MAX_NOISE_BYTES:
        raise InputError(f"{path}: more than {_MAX_NOISE_BYTES // 2**20} MiB of noise")


def _check_shape(path: Path, shape: tuple[int, ...], graph: Graph) -> None:
    (port,) = graph.inputs
    fixed = port.shape[0]
    # A graph of a fixed batch runs full, with fewer latents as well.
    full = shape
    if isinstance(fixed, int) and shape and 0 < shape[0] < fixed:
        full = (fixed, *shape[1:])
    axes = port.axes(full)
    if axes is None:
        expected = ", ".join(str(dim) for dim in port.shape)
        raise InputError(
            f"{path}: shape {list(shape)}, the decoder takes [{expected}]; {_of_another(shape, graph)}"
        )
    axis = graph.outside(axes)
    if axis is not None:
        bounds = graph.ranges[axis]
        raise InputError(
            f"{path}: {axis} is {axes[axis]}, the decoder takes {bounds.min} to {bounds.max}"
        )


def _of_another(shape: tuple[int, ...], graph: Graph) -> str:
    """Whose latent it may be, in pixels where the decoder takes one size alone and nothing but that differs."""
    own, image = graph.inputs[0].shape, graph.outputs[0]
    height, width = image.shape[1:3] if image.dtype == "uint8" else image.shape[2:]
    sides = [dim for dim in (*own[2:], height, width) if isinstance(dim, int)]
    differs_in_size = len(shape) == 4 and shape[1] == own[1] and shape[2:] != own[2:]
    if not differs_in_size or len(sides) != 4:
        return "it is a latent of another model or size"
    factor = sides[2] // sides[0]
    return (
        f"it is a latent of {factor * shape[3]}x{factor * shape[2]} pixels and this bundle takes {width}x{height} "
        "alone; export one without --size"
    )
