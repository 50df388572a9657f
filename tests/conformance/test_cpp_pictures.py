"""Picture files in C++: the pixels of Python, and its errors."""

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from cpp_runtime import ROOT, built, host_program, run
from crafted_pictures import (
    every_kind,
    exif,
    gradient,
    riff_chunk,
    webp,
    webp_canvas,
    with_exif,
)
from numpy.typing import NDArray

from dcae_export.errors import PictureError
from dcae_export.pictures.picture_file import read_picture
from runtimes.conformance.suite import Suite

pytestmark = pytest.mark.integration

SIZE = (24, 40)
CUTS = 40
INPUT_ERROR = 3
RESOURCE_ERROR = 6


class _Images(ctypes.Structure):
    """``dcae_images``."""

    _fields_ = (
        ("count", ctypes.c_size_t),
        ("height", ctypes.c_size_t),
        ("width", ctypes.c_size_t),
        ("data", ctypes.POINTER(ctypes.c_uint8)),
    )


@dataclass(frozen=True, slots=True)
class CppPictures:
    """The functions of libdcae.so that read and write a picture."""

    library: ctypes.CDLL
    handle: ctypes.c_void_p

    def read(self, path: Path) -> NDArray[np.uint8]:
        """The picture, (height, width, 3)."""
        images = _Images()
        status = self.library.dcae_read_picture(self.handle, bytes(path), ctypes.byref(images))
        if status:
            assert status == INPUT_ERROR
            raise PictureError(self.library.dcae_last_error(self.handle).decode())
        assert images.count == 1
        shape = (images.height, images.width, 3)
        picture = np.ctypeslib.as_array(images.data, shape).copy()
        self.library.dcae_images_free(ctypes.byref(images))
        return picture

    def write(self, path: Path, picture: NDArray[np.uint8]) -> int:
        """The status."""
        data = np.ascontiguousarray(picture).ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        images = _Images(1, *picture.shape[:2], data)
        return self.library.dcae_write_picture(
            self.handle, bytes(path), ctypes.byref(images), ctypes.c_size_t(0), 0
        )


@pytest.fixture(scope="module")
def cpp(suite: Suite) -> Iterator[CppPictures]:
    """The library with a bundle open."""
    library = ctypes.CDLL(str(built("release").with_name("libdcae.so")))
    library.dcae_last_error.restype = ctypes.c_char_p
    handle = ctypes.c_void_p()
    assert library.dcae_open(bytes(suite.bundle("class")), None, ctypes.byref(handle)) == 0
    yield CppPictures(library, handle)
    library.dcae_close(handle)


def transparent(suffix: str, *settings: int) -> bytes:
    """A picture whose alpha runs from nothing to all."""
    colours = cv2.cvtColor(gradient(*SIZE), cv2.COLOR_RGB2BGRA)
    colours[..., 3] = np.linspace(0, 255, SIZE[1], dtype=np.uint8)
    done, encoded = cv2.imencode(suffix, colours, list(settings))
    assert done
    return encoded.tobytes()


def readable() -> dict[str, bytes]:
    """Every format, upright and not, opaque and not."""
    pictures = every_kind(gradient(*SIZE)) | {
        "transparent png": transparent(".png"),
        "transparent webp": transparent(".webp", cv2.IMWRITE_WEBP_QUALITY, 90),
        "transparent lossless": transparent(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    }
    turned = {
        f"{kind} with orientation {orientation}": with_exif(picture, SIZE, exif(orientation))
        for kind, picture in every_kind(gradient(*SIZE)).items()
        for orientation in (2, 6)
    }
    return pictures | turned


@pytest.mark.parametrize("kind", readable())
def test_a_picture_has_the_pixels_of_python(cpp: CppPictures, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(readable()[kind])
    assert np.array_equal(cpp.read(path), read_picture(path))


def unreadable() -> dict[str, bytes]:
    """WebP files that no decoder may see."""
    pictures = every_kind(gradient(*SIZE))
    small = pictures["lossless"][12:]
    bomb = riff_chunk(b"VP8L", b"\x2f" + struct.pack("<I", 0x0FFFFFFF) + bytes(64))
    return {
        "a bomb": webp(bomb),
        "a canvas of another size": webp(webp_canvas((16_000, 16_000), flags=0), small),
        "an animation": webp(webp_canvas(SIZE, flags=2), small),
        "no pixels": webp(webp_canvas(SIZE, flags=0)),
        "a chunk that is no picture": webp(riff_chunk(b"VP8 ", bytes(20))),
        "a chunk beyond the file": webp(b"VP8L" + struct.pack("<I", 2**32 - 1)),
        "more than it holds": webp(
            riff_chunk(b"VP8L", b"\x2f" + struct.pack("<I", 999) + b"\0" * 9)
        ),
        "a signature alone": b"RIFF\4\0\0\0WEBP",
        "many chunks": webp(riff_chunk(b"ABCD", b"") * (2**18 + 1)),
    }


@pytest.mark.parametrize("kind", unreadable())
def test_a_webp_that_is_none_has_the_error_of_python(
    cpp: CppPictures, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "picture.webp"
    path.write_bytes(unreadable()[kind])
    with pytest.raises(PictureError) as of_python:
        read_picture(path)
    with pytest.raises(PictureError) as of_cpp:
        cpp.read(path)
    # A file has too many chunks; only Python says how many there may be.
    said = str(of_python.value).replace("more than 262144 chunks", "too many chunks")
    assert str(of_cpp.value) == said


@pytest.mark.parametrize("kind", ["webp", "lossless"])
def test_a_truncated_webp_is_never_half_a_picture(
    cpp: CppPictures, tmp_path: Path, kind: str
) -> None:
    picture = every_kind(gradient(*SIZE))[kind]
    path = tmp_path / "picture.webp"
    for cut in range(0, len(picture), max(1, len(picture) // CUTS)):
        path.write_bytes(picture[:cut])
        with pytest.raises(PictureError):
            cpp.read(path)


def test_a_webp_is_written_without_loss(cpp: CppPictures, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (17, 31, 3), dtype=np.uint8)
    assert cpp.write(tmp_path / "picture.webp", noise) == 0
    assert np.array_equal(read_picture(tmp_path / "picture.webp"), noise)
    assert np.array_equal(cpp.read(tmp_path / "picture.webp"), noise)


def test_a_side_that_webp_does_not_hold_is_an_error(cpp: CppPictures, tmp_path: Path) -> None:
    assert cpp.write(tmp_path / "picture.webp", np.zeros((1, 16_384, 3), np.uint8)) == INPUT_ERROR
    assert list(tmp_path.iterdir()) == []


def test_a_jpeg_that_the_memory_does_not_hold_is_an_error(suite: Suite, tmp_path: Path) -> None:
    copy = host_program("cpp_full_memory/copy.cpp", tmp_path / "copy", ("release",))
    no_memory = ROOT / "tests" / "cpp_full_memory" / "no_memory.c"
    run("gcc", "-shared", "-fPIC", no_memory, "-o", tmp_path / "no_memory.so")
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    assert cv2.imwrite(str(tmp_path / "noise.png"), noise)
    command = (copy, suite.bundle("class"), tmp_path / "noise.png")
    run(*command, tmp_path / "with-memory.jpg")
    # Its file grows through the size that there is no memory for.
    assert (tmp_path / "with-memory.jpg").stat().st_size > 131072
    result = subprocess.run(
        [*command, tmp_path / "without.jpg"],
        env=os.environ | {"LD_PRELOAD": str(tmp_path / "no_memory.so")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr.count("\n")) == (RESOURCE_ERROR, 1), result.stderr
    assert "the memory is full" in result.stderr
    assert not list(tmp_path.glob("*without*"))
