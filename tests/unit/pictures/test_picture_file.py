import errno
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from crafted_pictures import (
    CMYK_JPEG,
    encode,
    every_kind,
    exif,
    gradient,
    png,
    png_chunk,
    with_exif,
)
from numpy.typing import NDArray

from dcae_export.errors import InputError, PictureError, ResourceError, UsageError
from dcae_export.pictures.picture_file import (
    SUFFIXES,
    Alpha,
    decode_picture,
    read_picture,
    write_picture,
)

SIZE = (24, 40)
PICTURE = gradient(*SIZE)
PICTURES = every_kind(PICTURE)
# The mean error of 8-bit levels that a lossy encoder makes in a smooth picture.
LOSSY_ERROR = 3.0

# How a stored picture turns upright, from the EXIF standard's table of row and column 0.
UPRIGHT = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: np.rot90,
}


def mean_error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b).mean())


def big_endian_rows(samples: NDArray[np.integer]) -> list[bytes]:
    return [row.astype(">u2").tobytes() for row in samples]


@pytest.mark.parametrize("kind", PICTURES)
def test_each_format_is_read_as_rgb(kind: str):
    image = decode_picture(PICTURES[kind])
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    exact = kind in ("png", "lossless")
    assert mean_error(image, PICTURE) <= (0 if exact else LOSSY_ERROR)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", PICTURES)
def test_each_orientation_is_turned_upright(kind: str, orientation: int):
    stored = decode_picture(PICTURES[kind])
    image = decode_picture(with_exif(PICTURES[kind], SIZE, exif(orientation)))
    assert np.array_equal(image, UPRIGHT[orientation](stored))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_below_eight_bits_is_stretched_to_the_full_range(depth: int):
    picture = png((1, 8 // depth), depth=depth, colour_type=0, rows=[b"\x1b"])
    samples = [0x1B >> shift & 2**depth - 1 for shift in range(8 - depth, -1, -depth)]
    expected = np.array(samples) * 255 // (2**depth - 1)
    image = decode_picture(picture)
    assert np.array_equal(image, np.stack([[expected]] * 3, axis=-1))


def test_grey_jpeg_becomes_rgb():
    grey = PICTURE[..., 0]
    done, encoded = cv2.imencode(".jpg", grey)
    assert done
    image = decode_picture(encoded.tobytes())
    assert mean_error(image, np.stack([grey] * 3, axis=-1)) <= LOSSY_ERROR


def test_cmyk_jpeg_becomes_rgb():
    image = decode_picture(CMYK_JPEG)
    assert mean_error(image, np.full((16, 16, 3), (52, 208, 180), np.uint8)) <= 1


def test_every_16_bit_value_is_rounded_to_8_bits():
    values = np.arange(2**16).reshape(256, 256)
    image = decode_picture(png((256, 256), depth=16, colour_type=0, rows=big_endian_rows(values)))
    assert np.array_equal(image[..., 1], np.round(values / 257))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("alpha", "level"), [(Alpha.WHITE, 1.0), (Alpha.BLACK, 0.0)])
def test_straight_alpha_is_composited_and_rounded(depth: int, alpha: Alpha, level: float):
    opaque = 2**depth - 1
    samples = np.random.default_rng(0).integers(0, opaque, (300, 20, 4), endpoint=True)
    samples[0, :2, :3] = [[0] * 3, [opaque] * 3]
    samples[0, :4, 3] = [0, opaque, opaque, 0]
    samples_bytes = samples.astype(f">u{depth // 8}")
    rows = [row.tobytes() for row in samples_bytes]
    image = decode_picture(png((300, 20), depth=depth, colour_type=6, rows=rows), alpha=alpha)
    weight = samples[..., 3:] / opaque
    expected = 255 * (samples[..., :3] / opaque * weight + level * (1 - weight))
    # Half a level is correct rounding; what is beyond it is float64's.
    assert np.abs(image - expected).max() <= 0.5 + 1e-9


def test_a_grey_png_with_alpha_is_composited():
    picture = png((1, 3), depth=8, colour_type=4, rows=[bytes([10, 255, 10, 0, 10, 51])])
    assert decode_picture(picture)[0].tolist() == [[10] * 3, [255] * 3, [206] * 3]


def test_a_webp_with_alpha_is_composited():
    bgra = np.zeros((8, 8, 4), np.uint8)
    bgra[:4] = (0, 0, 255, 255)
    done, encoded = cv2.imencode(".webp", bgra, [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert done
    image = decode_picture(encoded.tobytes())
    assert (image[:4] == (255, 0, 0)).all()
    assert (image[4:] == 255).all()


def test_a_palette_with_transparency_is_composited():
    palette = png_chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60, 70, 80, 90]))
    transparency = png_chunk(b"tRNS", bytes([0, 102]))
    picture = png(
        (1, 3), depth=8, colour_type=3, rows=[bytes([0, 1, 2])], extra=palette + transparency
    )
    assert decode_picture(picture)[0].tolist() == [[255] * 3, [169, 173, 177], [70, 80, 90]]


@pytest.mark.parametrize(
    ("depth", "colour_type", "row", "key"),
    [
        (1, 0, b"\x40", [1]),
        (4, 0, b"\x07", [7]),
        (8, 0, b"\0\x07", [7]),
        (16, 0, b"\0\0\1\1", [257]),
        (8, 2, b"\0\0\0\1\2\3", [1, 2, 3]),
        (16, 2, b"\0\0\0\0\0\0\0\1\0\2\0\3", [1, 2, 3]),
    ],
)
def test_the_transparent_value_of_a_png_is_composited(
    depth: int, colour_type: int, row: bytes, key: list[int]
):
    transparency = png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    picture = png((1, 2), depth=depth, colour_type=colour_type, rows=[row], extra=transparency)
    assert decode_picture(picture)[0].tolist() == [[0] * 3, [255] * 3]


def test_a_file_is_read_whatever_its_suffix(tmp_path: Path):
    path = tmp_path / "picture.bin"
    path.write_bytes(PICTURES["png"])
    assert np.array_equal(read_picture(path), PICTURE)


def test_paths_that_are_no_regular_files_are_refused(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    empty = tmp_path / "empty"
    empty.touch()
    for path in (pipe, empty, tmp_path, tmp_path / "missing", Path("/dev/zero"), Path("a\0b")):
        with pytest.raises(PictureError):
            read_picture(path)


def test_a_file_above_the_bound_names_size_bound_and_way_out(tmp_path: Path):
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURES["png"])
    size = len(PICTURES["png"])
    with pytest.raises(PictureError, match=rf"{size} bytes, at most {size - 1} .*save .*smaller"):
        read_picture(path, max_bytes=size - 1)
    assert read_picture(path, max_bytes=size).shape == PICTURE.shape


@pytest.mark.parametrize("kind", PICTURES)
def test_pixels_above_the_bound_name_size_bound_and_way_out(kind: str):
    with pytest.raises(PictureError, match=r"me: 40 x 24 is 960 pixels, at most 959 .*scale"):
        decode_picture(PICTURES[kind], name="me", max_pixels=959)
    assert decode_picture(PICTURES[kind], max_pixels=960).shape == PICTURE.shape


def test_errors_name_the_picture():
    with pytest.raises(PictureError, match=r"cat\.png: the file is empty"):
        decode_picture(b"", name="cat.png")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG", ".JPG"])
def test_a_written_picture_is_read_back(tmp_path: Path, suffix: str):
    path = tmp_path / f"out{suffix}"
    write_picture(path, PICTURE)
    exact = suffix.lower() in (".png", ".webp")
    assert mean_error(read_picture(path), PICTURE) <= (0 if exact else LOSSY_ERROR)
    assert list(tmp_path.iterdir()) == [path]


def test_views_are_written_like_copies(tmp_path: Path):
    view = PICTURE[::-1, ::-1]
    write_picture(tmp_path / "out.png", view)
    assert np.array_equal(read_picture(tmp_path / "out.png"), view)


def test_jpeg_is_written_with_quality_95(tmp_path: Path):
    write_picture(tmp_path / "out.jpg", PICTURE)
    expected = encode(PICTURE, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
    assert (tmp_path / "out.jpg").read_bytes() == expected


def test_a_written_picture_has_the_permissions_of_any_new_file(tmp_path: Path):
    write_picture(tmp_path / "out.png", PICTURE)
    (tmp_path / "new").touch()
    assert (tmp_path / "out.png").stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize("suffix", [".gif", ".tiff", "", ".onnx"])
def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path, suffix: str):
    with pytest.raises(UsageError, match=r"\.png, \.jpg and \.webp"):
        write_picture(tmp_path / f"out{suffix}", PICTURE)
    assert not list(tmp_path.iterdir())


def test_an_existing_target_is_replaced_only_by_force(tmp_path: Path):
    path = tmp_path / "out.png"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="--force"):
        write_picture(path, PICTURE)
    assert path.read_bytes() == b"mine"
    write_picture(path, PICTURE, force=True)
    assert np.array_equal(read_picture(path), PICTURE)


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "out.png"
    path.write_bytes(b"mine")
    monkeypatch.setattr(Path, "exists", lambda path: False)
    with pytest.raises(InputError, match="--force"):
        write_picture(path, PICTURE)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("taken", [False, True])
def test_a_file_system_without_links_still_gets_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
):
    path = tmp_path / "out.png"

    def refuse_links(link: Path, target: Path) -> None:
        if taken:
            path.write_bytes(b"mine")
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse_links)
    if taken:
        with pytest.raises(InputError, match="--force"):
            write_picture(path, PICTURE)
        assert path.read_bytes() == b"mine"
    else:
        write_picture(path, PICTURE)
        assert np.array_equal(read_picture(path), PICTURE)
    assert list(tmp_path.iterdir()) == [path]


def test_the_silent_failure_of_the_encoder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, np.empty(0, np.uint8)))
    with pytest.raises(PictureError, match="cannot encode 40 x 24 pixels as PNG"):
        write_picture(tmp_path / "out.png", PICTURE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "side"), [(".jpg", 65_501), (".webp", 16_384)])
def test_a_side_that_the_format_cannot_hold_is_an_error(tmp_path: Path, suffix: str, side: int):
    with pytest.raises(PictureError, match=rf"at most {side - 1} pixels a side"):
        write_picture(tmp_path / f"out{suffix}", np.zeros((1, side, 3), np.uint8))
    write_picture(tmp_path / f"out{suffix}", np.zeros((1, side - 1, 3), np.uint8))


@pytest.mark.parametrize(
    ("code", "expected"), [(errno.ENOSPC, ResourceError), (errno.EIO, InputError)]
)
def test_a_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: type[Exception]
):
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(expected, match="cannot be written"):
        write_picture(tmp_path / "out.png", PICTURE)
    assert not list(tmp_path.iterdir())


def test_targets_that_cannot_be_files_are_errors(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for path in ("file/out.png", "missing/out.png", "folder.png", "n" * 300 + ".png"):
        with pytest.raises(InputError, match="cannot be written"):
            write_picture(tmp_path / path, PICTURE, force=True)
