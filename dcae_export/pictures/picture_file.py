"""Pictures as files: PNG, JPEG and WebP, bounded before they are decoded.

Samples are taken as they are stored: neither gamma nor colour profiles are applied.
"""

import stat
from enum import Enum
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import PictureError, UsageError
from dcae_export.files.whole_file import check_target, require_free, whole_file
from dcae_export.pictures.picture_header import PictureFormat, PictureHeader, read_header

MAX_PIXELS: Final = 2**26
MAX_BYTES: Final = 256 * 2**20

_FORMATS: Final = {
    ".png": PictureFormat.PNG,
    ".jpg": PictureFormat.JPEG,
    ".jpeg": PictureFormat.JPEG,
    ".webp": PictureFormat.WEBP,
}
SUFFIXES: Final = tuple(_FORMATS)
_ENCODER_SETTINGS: Final[dict[PictureFormat, list[int]]] = {
    PictureFormat.PNG: [],
    PictureFormat.JPEG: [cv2.IMWRITE_JPEG_QUALITY, 95],
    # Above 100 means lossless.
    PictureFormat.WEBP: [cv2.IMWRITE_WEBP_QUALITY, 101],
}
# What OpenCV answers beyond these is False, and lines of its own on stderr.
_MAX_SIDES: Final = {PictureFormat.JPEG: 65_500, PictureFormat.WEBP: 16_383}
# Few enough rows that the 32-bit copies of a band stay small beside the picture.
_BAND_ROWS: Final = 128


class Alpha(Enum):
    """The background on which transparent pictures are put."""

    WHITE = "white"
    BLACK = "black"


def read_picture(
    path: Path,
    *,
    alpha: Alpha = Alpha.WHITE,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> NDArray[np.uint8]:
    """Read a PNG, JPEG or WebP file as an upright RGB picture.

    Args:
        path: A regular file, or a link to one.
        alpha: The background for transparent pictures.
        max_pixels: Bound on width x height, checked before decoding.
        max_bytes: Bound on the size of the file, checked before reading.

    Returns:
        The picture, (height, width, 3) RGB, 0 to 255.

    Raises:
        PictureError: If the path is no readable regular file, exceeds a bound, or does not hold a
            whole picture.
    """
    try:
        status = path.stat()
        # A pipe or device would block or never end, so this is asked before opening.
        if not stat.S_ISREG(status.st_mode):
            raise PictureError(f"{path}: not a regular file; give the path of a picture")
        if status.st_size > max_bytes:
            raise PictureError(
                f"{path}: {status.st_size} bytes, at most {max_bytes} are read; "
                "save the picture smaller"
            )
        with path.open("rb") as file:
            # Files of the kernel announce no bytes and hold endless ones.
            data = file.read(status.st_size)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PictureError(f"{path}: cannot be read: {reason}; check the path") from error
    return decode_picture(data, name=str(path), alpha=alpha, max_pixels=max_pixels)


def decode_picture(
    data: bytes,
    *,
    name: str = "picture",
    alpha: Alpha = Alpha.WHITE,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """Decode the bytes of a PNG, JPEG or WebP file as an upright RGB picture.

    Samples of 16 bits are rounded to 8, grey becomes RGB, the EXIF orientation is applied.

    Args:
        data: The bytes of the whole file.
        name: What error messages call the picture.
        alpha: The background for transparent pictures.
        max_pixels: Bound on width x height, checked before decoding.

    Returns:
        The picture, (height, width, 3) RGB, 0 to 255.

    Raises:
        PictureError: If the picture exceeds the bound, or the bytes are not a whole picture.
    """
    try:
        header = read_header(data)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error
    num_pixels = header.width * header.height
    if num_pixels > max_pixels:
        raise PictureError(
            f"{name}: {header.width} x {header.height} is {num_pixels} pixels, at most {max_pixels}"
            " are read; scale the picture down"
        )
    stored = _decode(data)
    if stored is None or stored.shape[:2] != (header.height, header.width):
        raise PictureError(
            f"{name}: the {header.format.value} is damaged: its {header.width} x {header.height} "
            "pixels cannot be decoded; fetch or save it again"
        )
    return _upright(_to_rgb(stored, header, alpha), header.orientation)


def _decode(data: bytes) -> NDArray[np.uint8 | np.uint16] | None:
    """Decode to grey, BGR or BGRA as stored; None if OpenCV cannot."""
    try:
        # Unchanged: OpenCV leaves depth, alpha and orientation to us.
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    # The stubs know neither that only these two types come from these formats, nor None.
    return cast("NDArray[np.uint8 | np.uint16] | None", decoded)


def _to_rgb(
    stored: NDArray[np.uint8 | np.uint16], header: PictureHeader, alpha: Alpha
) -> NDArray[np.uint8]:
    backdrop = int(np.iinfo(stored.dtype).max) if alpha is Alpha.WHITE else 0
    if stored.ndim == 2 and header.transparent_grey is not None:
        stored[stored == header.transparent_grey] = backdrop
    if stored.ndim == 3 and stored.shape[2] == 4:
        stored = _composite(stored, backdrop)
    if stored.dtype == np.uint16:
        # Rounds value / 257; no 16-bit value is a tie.
        stored = cast("NDArray[np.uint8]", cv2.convertScaleAbs(stored, alpha=1 / 257))
    to_rgb = cv2.COLOR_GRAY2RGB if stored.ndim == 2 else cv2.COLOR_BGR2RGB
    return cast("NDArray[np.uint8]", cv2.cvtColor(stored, to_rgb))


def _composite(
    stored: NDArray[np.uint8 | np.uint16], backdrop: int
) -> NDArray[np.uint8 | np.uint16]:
    """Put straight-alpha BGRA on a grey backdrop of the same depth, as browsers do."""
    opaque = int(np.iinfo(stored.dtype).max)
    composited = np.empty((*stored.shape[:2], 3), stored.dtype)
    for top in range(0, stored.shape[0], _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        # Two 16-bit factors and half of the divisor just fit into 32 bits.
        band = stored[rows].astype(np.uint32)
        weight = band[..., 3:]
        blend = band[..., :3] * weight + (opaque - weight) * backdrop + opaque // 2
        composited[rows] = blend // opaque
    return composited


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation: 5 to 8 exchange the axes, then each axis is or is not mirrored."""
    view = image.swapaxes(0, 1) if orientation >= 5 else image
    if orientation in (2, 3, 6, 7):
        view = view[:, ::-1]
    if orientation in (3, 4, 7, 8):
        view = view[::-1]
    return np.ascontiguousarray(view)


def check_picture_target(path: Path, *, force: bool) -> None:
    """Check before the work that a picture can be written.

    Raises:
        UsageError: The suffix names no format that is written.
        InputError: The target exists and force is not given, or its folder does not exist.
    """
    _format_of(path)
    check_target(path, force=force)


def write_picture(path: Path, image: NDArray[np.uint8], *, force: bool = False) -> None:
    """Write a picture as PNG, JPEG (quality 95) or WebP (lossless), whole or not at all.

    Args:
        path: The target; its suffix chooses the format.
        image: (height, width, 3) RGB, 0 to 255.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: If the suffix is none of .png, .jpg, .jpeg and .webp.
        InputError: If the target exists and force is not given, or cannot be written.
        PictureError: If the picture cannot be encoded.
        ResourceError: If the disk is full.
    """
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    picture_format = _format_of(path)
    require_free(path, force=force)
    encoded = _encode(path, image, picture_format)
    with whole_file(path, force=force) as file:
        file.write(encoded)


def _format_of(path: Path) -> PictureFormat:
    picture_format = _FORMATS.get(path.suffix.lower())
    if picture_format is None:
        raise UsageError(f"{path}: the suffix {path.suffix!r} is none of .png, .jpg and .webp")
    return picture_format


def _encode(path: Path, image: NDArray[np.uint8], picture_format: PictureFormat) -> memoryview:
    height, width = image.shape[:2]
    max_side = _MAX_SIDES.get(picture_format)
    if max_side is not None and max(height, width) > max_side:
        raise PictureError(
            f"{path}: {picture_format.value} holds at most {max_side} pixels a side, not "
            f"{width} x {height}; write a .png"
        )
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    problem = ""
    try:
        done, encoded = cv2.imencode(
            f".{picture_format.value.lower()}", bgr, _ENCODER_SETTINGS[picture_format]
        )
    except cv2.error as error:
        done, encoded, problem = False, np.empty(0, np.uint8), f" ({error.err})"
    if not done:
        raise PictureError(
            f"{path}: OpenCV cannot encode {width} x {height} pixels as {picture_format.value}"
            f"{problem}; choose another format"
        )
    return encoded.data
