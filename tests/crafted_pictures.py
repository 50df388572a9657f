"""Build pictures byte by byte, with what encoders refuse to write."""

import base64
import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# A 16 x 16 JPEG of one colour, (52, 208, 180) in RGB, stored as inverted CMYK with Adobe's marker.
CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwADAgIDAgIDAwMDBAMDBAUIBQUEBAUKBwcGCAwKDAwLCgsLDQ4SEA0OEQ4LCxAWEBET"
    "FBUVFQwPFxgWFBgSFBUU/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAICf/EABQQAQAAAAAA"
    "AAAAAAAAAAAAAAD/2gAOBEMATQBZAEsAAD8AjxoGrNo6AAAA/9k="
)


def gradient(height: int, width: int) -> NDArray[np.uint8]:
    """A smooth RGB picture without any symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    planes = (255 * x / width, 255 * y / height, 127 * (x / width) ** 2 + 20 * y / height)
    return np.stack(planes, axis=-1).astype(np.uint8)


def encode(image: NDArray[np.uint8], suffix: str, *settings: int) -> bytes:
    done, encoded = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), list(settings))
    assert done
    return encoded.tobytes()


def every_kind(image: NDArray[np.uint8]) -> dict[str, bytes]:
    """The picture in each format, and in both ways to code JPEG and WebP."""
    return {
        "png": encode(image, ".png"),
        "jpeg": encode(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95),
        "progressive": encode(image, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "webp": encode(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, 90),
        "lossless": encode(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    }


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    size: tuple[int, int],
    *,
    depth: int,
    colour_type: int,
    rows: list[bytes],
    extra: bytes = b"",
) -> bytes:
    """A PNG of (height, width) whose packed rows are given; `extra` chunks precede the pixels."""
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return (
        PNG_SIGNATURE
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", pixels)
        + png_chunk(b"IEND", b"")
    )


def riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_canvas(size: tuple[int, int], *, flags: int) -> bytes:
    """The VP8X chunk for (height, width)."""
    sides = (size[1] - 1).to_bytes(3, "little") + (size[0] - 1).to_bytes(3, "little")
    return riff_chunk(b"VP8X", struct.pack("<I", flags) + sides)


def exif(orientation: int, *, order: str = "<") -> bytes:
    """A TIFF header and a directory of two entries, the second of them the orientation."""
    signature = {"<": b"II*\0", ">": b"MM\0*"}[order]
    entries = struct.pack(f"{order}HHII", 0x0100, 4, 1, 7)
    entries += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return signature + struct.pack(f"{order}IH", 8, 2) + entries + b"\0\0\0\0"


def with_exif(picture: bytes, size: tuple[int, int], metadata: bytes) -> bytes:
    """Add EXIF metadata to an encoded picture of (height, width)."""
    if picture.startswith(PNG_SIGNATURE):
        after_header = len(PNG_SIGNATURE) + 25
        chunk = png_chunk(b"eXIf", metadata)
        return picture[:after_header] + chunk + picture[after_header:]
    if picture.startswith(b"\xff\xd8"):
        body = b"Exif\0\0" + metadata
        segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        return picture[:2] + segment + picture[2:]
    return webp(webp_canvas(size, flags=0x08), picture[12:], riff_chunk(b"EXIF", metadata))
