"""Read what a picture file announces, before any decoder sees it.

The readers walk the whole file by its own length fields, so a truncated file is found here. They
look for markers where libjpeg, libpng and libwebp look, so that the announced size is the size that
the decoder will use.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dcae_export.errors import PictureError

# Hostile files hold millions of empty segments; a 256 MiB PNG in chunks of 1 KiB holds fewer.
MAX_SEGMENTS: Final = 2**18
# Each scan of a progressive JPEG costs a pass over all pixels; encoders write about ten.
MAX_JPEG_SCANS: Final = 100

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
# In entropy-coded data FF 00 is a byte FF and FF D0 to FF D7 are restarts; FF 01 has no body, and
# FF before FF is filling. What is left begins a segment. Never `\xff+`: it backtracks quadratically.
_JPEG_MARKER: Final = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_JPEG_END: Final = 0xD9
_JPEG_SCAN: Final = 0xDA
_JPEG_EXIF: Final = 0xE1
_JPEG_NO_BODY: Final = frozenset({0xD8, _JPEG_END})
# C4, C8 and CC share the range of the frame headers: Huffman tables, reserved, arithmetic tables.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EXIF_PREFIX: Final = b"Exif\0\0"
_EXIF_ORIENTATION: Final = 0x0112
_EXIF_SHORT: Final = 3
_VP8_KEY_FRAME: Final = b"\x9d\x01\x2a"
_VP8L_SIGNATURE: Final = 0x2F
_VP8X_ANIMATION: Final = 0x02


class PictureFormat(Enum):
    """A picture format that can be read and written."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WebP"


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureHeader:
    """What a picture file says about its pixels.

    Attributes:
        format: The file's format, by its content and not its name.
        width: Columns as stored, before the orientation is applied.
        height: Rows as stored, before the orientation is applied.
        orientation: EXIF orientation, 1 (upright) to 8.
        transparent_grey: The one grey value that a PNG declares to be transparent, as a sample of
            8 bits (or 16 where the PNG has 16), or None.
    """

    format: PictureFormat
    width: int
    height: int
    orientation: int = 1
    transparent_grey: int | None = None


def read_header(data: bytes) -> PictureHeader:
    """Read the header of a PNG, JPEG or WebP, and check that the file is whole.

    A JPEG that was cut and then closed with a new end marker cannot be told from a whole one.

    Args:
        data: The bytes of the whole file.

    Returns:
        The announced size, at least 1 x 1, and orientation.

    Raises:
        PictureError: If the bytes are of another format, truncated, damaged where the walk can
            tell, or an animation.
    """
    if not data:
        raise PictureError("the file is empty")
    if data.startswith(_PNG_SIGNATURE):
        header = _read_png(data)
    elif data.startswith(_JPEG_SIGNATURE):
        header = _read_jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        header = _read_webp(data)
    elif any(s.startswith(data) for s in (_PNG_SIGNATURE, _JPEG_SIGNATURE)) or data[:4] == b"RIFF":
        raise PictureError("the file ends within its first bytes, or is no picture")
    else:
        raise PictureError("not a PNG, JPEG or WebP picture; convert it to one of them")
    if not (header.width and header.height):
        raise PictureError(f"the {header.format.value} announces no pixels")
    return header


def read_size(start: bytes) -> tuple[int, int]:
    """Read the size that a PNG, JPEG or WebP announces; whether the file is whole is not asked.

    Args:
        start: The beginning of the file, or all of it.

    Returns:
        (width, height) as stored, before the orientation is applied, at least 1 x 1.

    Raises:
        PictureError: If the bytes are of another format, damaged, the beginning of an animated WebP, or
            end before the size.
    """
    if start.startswith(_PNG_SIGNATURE):
        size = _png_size(start)
    elif start.startswith(_JPEG_SIGNATURE):
        size = _jpeg_size(start)
    elif start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        size = _webp_size(start)
    else:
        raise PictureError("not a PNG, JPEG or WebP picture; convert it to one of them")
    if 0 in size:
        raise PictureError("the picture announces no pixels")
    return size


def _truncated(kind: PictureFormat, missing: str) -> PictureError:
    return PictureError(f"the {kind.value} is truncated: {missing}; fetch or save it again")


def _damaged(kind: PictureFormat, what: str) -> PictureError:
    return PictureError(f"the {kind.value} is damaged: {what}; fetch or save it again")


def _animated(kind: PictureFormat) -> PictureError:
    return PictureError(f"the {kind.value} is an animation; save one frame as a still picture")


# PNG: an 8-byte signature, then chunks of (length, type, body, CRC), IHDR first and IEND last.


def _read_png(data: bytes) -> PictureHeader:
    bodies: dict[bytes, memoryview] = {}
    for kind, body in _png_chunks(data):
        if not bodies and (kind != b"IHDR" or len(body) != 13):
            raise _damaged(PictureFormat.PNG, "it does not begin with IHDR")
        if kind == b"acTL":
            raise _animated(PictureFormat.PNG)
        bodies.setdefault(kind, body)
    if b"IDAT" not in bodies:
        raise _damaged(PictureFormat.PNG, "it holds no IDAT chunk")
    width, height, depth, colour_type = struct.unpack_from(">IIBB", bodies[b"IHDR"])
    transparency = bodies.get(b"tRNS", memoryview(b""))
    return PictureHeader(
        format=PictureFormat.PNG,
        width=width,
        height=height,
        orientation=_exif_orientation(bytes(bodies.get(b"eXIf", b""))),
        transparent_grey=_png_transparent_grey(depth, colour_type, transparency),
    )


def _png_size(start: bytes) -> tuple[int, int]:
    kind, body = next(_png_chunks(start))
    if kind != b"IHDR" or len(body) != 13:
        raise _damaged(PictureFormat.PNG, "it does not begin with IHDR")
    width, height = struct.unpack_from(">II", body)
    return width, height


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield (type, body) of each chunk up to IEND, with checked CRCs."""
    view = memoryview(data)
    start = len(_PNG_SIGNATURE)
    for _ in range(MAX_SEGMENTS):
        if start + 12 > len(data):
            raise _truncated(PictureFormat.PNG, "it has no IEND chunk")
        (length,) = struct.unpack_from(">I", data, start)
        kind = data[start + 4 : start + 8]
        end = start + 8 + length
        if end + 4 > len(data):
            raise _truncated(PictureFormat.PNG, "its last chunk is longer than the file")
        if zlib.crc32(view[start + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise _damaged(PictureFormat.PNG, "the checksum of a chunk differs")
        yield kind, view[start + 8 : end]
        if kind == b"IEND":
            return
        start = end + 4
    raise _damaged(PictureFormat.PNG, f"it has more than {MAX_SEGMENTS} chunks")


def _png_transparent_grey(depth: int, colour_type: int, transparency: memoryview) -> int | None:
    """Find the transparent grey value, which OpenCV drops (it keeps those of colour pictures)."""
    if colour_type != 0 or len(transparency) != 2 or depth not in (1, 2, 4, 8, 16):
        return None
    (sample,) = struct.unpack(">H", transparency)
    sample &= 2**depth - 1
    return sample if depth >= 8 else sample * 255 // (2**depth - 1)


# JPEG: segments of (FF, code, length, body), with entropy-coded data after each start of scan.


def _read_jpeg(data: bytes) -> PictureHeader:
    size: tuple[int, int] | None = None
    orientation: int | None = None
    num_scans = 0
    for code, body in _jpeg_segments(data):
        if code in _JPEG_FRAMES:
            if size is not None or len(body) < 6:
                raise _damaged(PictureFormat.JPEG, "its frame header is not one")
            size = struct.unpack_from(">HH", body, 1)
        elif code == _JPEG_SCAN:
            num_scans += 1
            if num_scans > MAX_JPEG_SCANS:
                raise _damaged(PictureFormat.JPEG, f"it has more than {MAX_JPEG_SCANS} scans")
        elif code == _JPEG_EXIF and orientation is None and body.startswith(_EXIF_PREFIX):
            orientation = _exif_orientation(body)
    if size is None or num_scans == 0:
        raise _damaged(PictureFormat.JPEG, "it ends before any pixels")
    height, width = size
    return PictureHeader(
        format=PictureFormat.JPEG, width=width, height=height, orientation=orientation or 1
    )


def _jpeg_size(start: bytes) -> tuple[int, int]:
    for code, body in _jpeg_segments(start):
        if code in _JPEG_FRAMES and len(body) >= 6:
            height, width = struct.unpack_from(">HH", body, 1)
            return width, height
    raise _damaged(PictureFormat.JPEG, "it ends before any pixels")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (code, body) of each segment up to the end-of-image marker."""
    start = 2
    for _ in range(MAX_SEGMENTS):
        marker = _JPEG_MARKER.search(data, start)
        if marker is None:
            raise _truncated(PictureFormat.JPEG, "it has no end-of-image marker")
        code = marker[1][0]
        if code == _JPEG_END:
            return
        start = marker.end()
        if code in _JPEG_NO_BODY:
            raise _damaged(PictureFormat.JPEG, "a second picture begins inside it")
        if start + 2 > len(data):
            raise _truncated(PictureFormat.JPEG, "its last segment has no length")
        (length,) = struct.unpack_from(">H", data, start)
        end = start + length
        if length < 2:
            raise _damaged(PictureFormat.JPEG, "a segment is shorter than its own length field")
        if end > len(data):
            raise _truncated(PictureFormat.JPEG, "its last segment is longer than the file")
        yield code, data[start + 2 : end]
        start = end
    raise _damaged(PictureFormat.JPEG, f"it has more than {MAX_SEGMENTS} segments")


# WebP: a RIFF file whose chunks are (type, length, body, padding to an even length).


def _read_webp(data: bytes) -> PictureHeader:
    orientation = 1
    sizes: set[tuple[int, int]] = set()
    has_pixels = False
    for kind, body in _webp_chunks(data):
        match kind:
            case b"VP8X":
                sizes.add(_vp8x_size(body))
            case b"VP8 ":
                sizes.add(_vp8_size(body))
                has_pixels = True
            case b"VP8L":
                sizes.add(_vp8l_size(body))
                has_pixels = True
            case b"EXIF":
                orientation = _exif_orientation(bytes(body))
            case _:
                pass
    if not has_pixels:
        raise _no_webp_pixels()
    # Whichever of them libwebp believes, it is the size that we return.
    if len(sizes) > 1:
        raise _damaged(PictureFormat.WEBP, "its chunks differ in size")
    width, height = sizes.pop()
    return PictureHeader(
        format=PictureFormat.WEBP, width=width, height=height, orientation=orientation
    )


def _webp_size(start: bytes) -> tuple[int, int]:
    # The first chunk has the size: of the canvas, or of the only picture.
    body = memoryview(start)[20:]
    match start[12:16]:
        case b"VP8X":
            return _vp8x_size(body)
        case b"VP8 ":
            return _vp8_size(body)
        case b"VP8L":
            return _vp8l_size(body)
        case _:
            raise _no_webp_pixels()


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield (type, body) of each chunk of a RIFF file that is all there."""
    view = memoryview(data)
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise _truncated(PictureFormat.WEBP, f"it has {len(data)} of {end} bytes")
    start = 12
    for _ in range(MAX_SEGMENTS):
        if start + 8 > end:
            return
        (length,) = struct.unpack_from("<I", data, start + 4)
        if start + 8 + length > end:
            raise _damaged(PictureFormat.WEBP, "a chunk is longer than the file")
        yield data[start : start + 4], view[start + 8 : start + 8 + length]
        start += 8 + length + length % 2
    raise _damaged(PictureFormat.WEBP, f"it has more than {MAX_SEGMENTS} chunks")


def _no_webp_pixels() -> PictureError:
    return _damaged(PictureFormat.WEBP, "it holds no pixels")


def _vp8_size(body: memoryview) -> tuple[int, int]:
    if len(body) < 10 or bytes(body[3:6]) != _VP8_KEY_FRAME:
        raise _no_webp_pixels()
    # The two bits above each size ask for upscaling, which libwebp ignores.
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def _vp8l_size(body: memoryview) -> tuple[int, int]:
    if len(body) < 5 or body[0] != _VP8L_SIGNATURE:
        raise _no_webp_pixels()
    (bits,) = struct.unpack_from("<I", body, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _vp8x_size(body: memoryview) -> tuple[int, int]:
    if len(body) < 10:
        raise _no_webp_pixels()
    if body[0] & _VP8X_ANIMATION:
        raise _animated(PictureFormat.WEBP)
    return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1


# EXIF: a TIFF header, then a directory of 12-byte entries.


def _exif_orientation(data: bytes) -> int:
    """Find the orientation, or 1: broken metadata does not make a picture unreadable."""
    tiff = data.removeprefix(_EXIF_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    if directory + 2 > len(tiff):
        return 1
    (num_entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * num_entries, 12):
        if entry + 12 > len(tiff):
            return 1
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
        if tag == _EXIF_ORIENTATION:
            return value if kind == _EXIF_SHORT and 1 <= value <= 8 else 1
    return 1
