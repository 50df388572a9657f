import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from crafted_pictures import (
    CMYK_JPEG,
    PNG_SIGNATURE,
    every_kind,
    exif,
    gradient,
    png,
    png_chunk,
    riff_chunk,
    webp,
    webp_canvas,
    with_exif,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from dcae_export.errors import PictureError
from dcae_export.pictures.picture_file import decode_picture, read_picture
from dcae_export.pictures.picture_header import read_header

SIZE = (24, 40)
PICTURES = every_kind(gradient(*SIZE)) | {
    f"{kind} with EXIF": with_exif(picture, SIZE, exif(6))
    for kind, picture in every_kind(gradient(*SIZE)).items()
}
PICTURES["cmyk"] = CMYK_JPEG
PICTURES["palette"] = png(
    (8, 8),
    depth=4,
    colour_type=3,
    rows=[bytes([0x01, 0x23, 0x10, 0x32])] * 8,
    extra=png_chunk(b"PLTE", bytes(range(12))) + png_chunk(b"tRNS", b"\0\x80"),
)
CUTS_PER_PICTURE = 60
# The modules, and room for the noise of the allocator; the bomb would take 2.7 GB.
BOMB_RSS_BYTES = 16 * 2**20


def announce(side: int) -> dict[str, bytes]:
    """Tiny pictures of each format that announce a square of the given side."""
    png_header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(2**16))
    jpeg = every_kind(gradient(8, 8))["jpeg"]
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg = jpeg[:frame] + struct.pack(">HH", side, side) + jpeg[frame + 4 :]
    return {
        "png": PNG_SIGNATURE
        + png_chunk(b"IHDR", png_header)
        + png_chunk(b"IDAT", pixels)
        + png_chunk(b"IEND", b""),
        "jpeg": jpeg,
        "webp": webp(riff_chunk(b"VP8L", b"\x2f" + struct.pack("<I", 0x0FFFFFFF) + bytes(64))),
    }


def assert_announced_or_refused(picture: bytes):
    try:
        image = decode_picture(picture, max_pixels=2**16)
    except PictureError:
        return
    header = read_header(picture)
    sides = (header.height, header.width)
    assert image.shape == (*(sides[::-1] if header.orientation >= 5 else sides), 3)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_bomb_is_refused_by_its_header(kind: str):
    bomb = announce(30_000)[kind]
    assert len(bomb) < 2000
    with pytest.raises(PictureError, match="pixels, at most 67108864 are read; scale"):
        decode_picture(bomb)


def test_a_canvas_bomb_around_a_small_webp_is_refused():
    small = every_kind(gradient(8, 8))["lossless"][12:]
    with pytest.raises(PictureError, match="differ in size"):
        decode_picture(webp(webp_canvas((16_000, 16_000), flags=0), small))


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_bombs_never_take_memory(tmp_path: Path):
    paths: list[str] = []
    for kind, bomb in announce(30_000).items():
        (tmp_path / kind).write_bytes(bomb)
        paths.append(str(tmp_path / kind))
    program = """
import json, resource, sys
from pathlib import Path
from dcae_export.errors import PictureError
from dcae_export.pictures.picture_file import read_picture

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before, refused = peak(), 0
for path in sys.argv[1:]:
    try:
        read_picture(Path(path))
    except PictureError:
        refused += 1
print(json.dumps([refused, peak() - before]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True
    )
    refused, grown = json.loads(done.stdout)
    assert refused == len(paths)
    assert grown < BOMB_RSS_BYTES


# Not JPEG: nothing in it says how much data belongs to a scan, and libjpeg fills up with grey.
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_a_picture_that_announces_more_than_it_holds_is_an_error(kind: str):
    with pytest.raises(PictureError, match="cannot be decoded"):
        decode_picture(announce(1000)[kind], max_pixels=2**30)


@pytest.mark.parametrize("kind", PICTURES)
def test_a_truncated_picture_is_never_half_a_picture(kind: str, tmp_path: Path):
    picture = PICTURES[kind]
    step = max(1, len(picture) // CUTS_PER_PICTURE)
    cuts = {*range(0, len(picture), step), *range(min(40, len(picture)))}
    cuts |= {len(picture) - behind for behind in range(1, 20)}
    for cut in sorted(cuts):
        with pytest.raises(PictureError):
            decode_picture(picture[:cut])
    path = tmp_path / "cut"
    path.write_bytes(picture[:-1])
    with pytest.raises(PictureError, match=f"{path}: .*truncated"):
        read_picture(path)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", PICTURES)
def test_flipped_bytes_give_a_picture_of_the_announced_size_or_an_error(
    kind: str, data: st.DataObject
):
    picture = bytearray(PICTURES[kind])
    positions = st.integers(0, len(picture) - 1)
    for position in data.draw(st.lists(positions, min_size=1, max_size=4, unique=True)):
        picture[position] ^= data.draw(st.integers(1, 255))
    assert_announced_or_refused(bytes(picture))


# With the checksums of the test above, the damage seldom reaches libpng.
@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", ["png", "png with EXIF", "palette"])
def test_flipped_bytes_under_good_checksums_give_the_announced_size_or_an_error(
    kind: str, data: st.DataObject
):
    picture = PICTURES[kind]
    damaged = PNG_SIGNATURE
    start = len(PNG_SIGNATURE)
    flips = data.draw(
        st.dictionaries(st.integers(start, len(picture) - 1), st.integers(1, 255), max_size=4)
    )
    while start < len(picture):
        end = start + 8 + struct.unpack_from(">I", picture, start)[0]
        body = bytes(picture[at] ^ flips.get(at, 0) for at in range(start + 8, end))
        damaged += png_chunk(picture[start + 4 : start + 8], body)
        start = end + 4
    assert_announced_or_refused(damaged)


@settings(max_examples=25, deadline=None)
@given(
    start=st.sampled_from([b"", PNG_SIGNATURE, b"\xff\xd8\xff", b"RIFF\x10\0\0\0WEBP"]),
    rest=st.binary(max_size=200),
)
def test_random_bytes_are_an_error(start: bytes, rest: bytes):
    with pytest.raises(PictureError):
        decode_picture(start + rest)
