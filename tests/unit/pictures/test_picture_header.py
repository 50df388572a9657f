import struct

import pytest
from crafted_pictures import (
    PNG_SIGNATURE,
    encode,
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

from dcae_export.errors import PictureError
from dcae_export.pictures.picture_header import (
    MAX_JPEG_SCANS,
    MAX_SEGMENTS,
    PictureFormat,
    read_header,
    read_size,
)

SIZE = (24, 40)
FORMATS = {
    "png": PictureFormat.PNG,
    "jpeg": PictureFormat.JPEG,
    "progressive": PictureFormat.JPEG,
    "webp": PictureFormat.WEBP,
    "lossless": PictureFormat.WEBP,
}
PICTURES = every_kind(gradient(*SIZE))


def jpeg_segment(code: int, body: bytes) -> bytes:
    return b"\xff" + bytes([code]) + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("kind", FORMATS)
def test_a_header_gives_format_and_size(kind: str):
    header = read_header(PICTURES[kind])
    assert header.format is FORMATS[kind]
    assert (header.height, header.width) == SIZE
    assert header.orientation == 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", FORMATS)
def test_the_orientation_is_found_in_both_byte_orders(kind: str, order: str):
    picture = with_exif(PICTURES[kind], SIZE, exif(6, order=order))
    assert read_header(picture).orientation == 6


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"II*\0",
        exif(0),
        exif(9),
        exif(6)[:-10],
        b"II*\0\xff\xff\xff\xff" + exif(6)[8:],
        exif(6)[:8] + b"\xff\xff",
        b"XX" + exif(6)[2:],
    ],
)
@pytest.mark.parametrize("kind", FORMATS)
def test_broken_exif_means_upright(kind: str, metadata: bytes):
    assert read_header(with_exif(PICTURES[kind], SIZE, metadata)).orientation == 1


def test_the_thumbnail_of_a_jpeg_is_not_taken_for_the_picture():
    thumbnail = encode(gradient(8, 8), ".jpg")
    picture = with_exif(PICTURES["jpeg"], SIZE, exif(1) + thumbnail)
    assert read_header(picture).width == SIZE[1]
    with pytest.raises(PictureError, match="truncated"):
        read_header(picture[:-2])


def test_bytes_after_the_end_of_a_picture_are_ignored():
    for picture in PICTURES.values():
        assert read_header(picture + b"\xff\xc0 trailing").width == SIZE[1]


@pytest.mark.parametrize("data", [b"", b"\x89PN", b"\xff", b"RIFF", b"RIFF\4\0\0\0WAVE"])
def test_a_few_bytes_are_no_picture(data: bytes):
    with pytest.raises(PictureError):
        read_header(data)


def test_another_format_is_named_with_the_way_out():
    with pytest.raises(PictureError, match="convert it"):
        read_header(b"GIF89a" + bytes(100))


def test_a_flipped_bit_in_any_chunk_of_a_png_is_found():
    picture = png((1, 8), depth=8, colour_type=0, rows=[bytes(8)])
    for position in range(len(PNG_SIGNATURE), len(picture)):
        damaged = bytearray(picture)
        damaged[position] ^= 1
        with pytest.raises(PictureError):
            read_header(bytes(damaged))


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"IEND", b"")],
        [(b"IHDR", bytes(12)), (b"IDAT", b""), (b"IEND", b"")],
        [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (b"IEND", b"")],
        [(b"IHDR", bytes(13)), (b"IDAT", b""), (b"IEND", b"")],
        [(b"tEXt", b"a\0b"), (b"IHDR", bytes(13)), (b"IDAT", b""), (b"IEND", b"")],
    ],
)
def test_a_png_without_its_parts_is_refused(chunks: list[tuple[bytes, bytes]]):
    with pytest.raises(PictureError):
        read_header(PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks))


def test_a_jpeg_with_a_second_frame_header_is_refused():
    frame = jpeg_segment(0xC0, struct.pack(">BHHB", 8, 9999, 9999, 3))
    picture = PICTURES["jpeg"]
    with pytest.raises(PictureError, match="frame header"):
        read_header(picture[:2] + frame + picture[2:])
    with pytest.raises(PictureError, match="frame header"):
        read_header(picture[:-2] + frame + picture[-2:])


def test_a_jpeg_inside_a_jpeg_is_refused():
    picture = PICTURES["jpeg"]
    with pytest.raises(PictureError, match="second picture"):
        read_header(picture[:-2] + picture)


@pytest.mark.parametrize(
    "segments",
    [
        b"",
        b"\xff\xc0\0\1",
        jpeg_segment(0xC0, b"\x08\0\1"),
        jpeg_segment(0xC0, struct.pack(">BHHB", 8, 1, 1, 3)),
        jpeg_segment(0xC0, struct.pack(">BHHB", 8, 0, 1, 3)) + jpeg_segment(0xDA, b""),
        jpeg_segment(0xDA, b""),
    ],
)
def test_a_jpeg_without_its_parts_is_refused(segments: bytes):
    with pytest.raises(PictureError):
        read_header(b"\xff\xd8" + segments + b"\xff\xd9")


def test_a_jpeg_of_endless_scans_is_refused():
    frame = jpeg_segment(0xC2, struct.pack(">BHHB", 8, 8000, 8000, 3))
    scans = jpeg_segment(0xDA, b"") * (MAX_JPEG_SCANS + 1)
    with pytest.raises(PictureError, match="scans"):
        read_header(b"\xff\xd8" + frame + scans + b"\xff\xd9")


@pytest.mark.parametrize(
    "data",
    [
        PNG_SIGNATURE
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
        + png_chunk(b"IDAT", b"") * MAX_SEGMENTS,
        b"\xff\xd8" + b"\xff\xfe\0\2" * (MAX_SEGMENTS + 1),
        webp(riff_chunk(b"ABCD", b"") * (MAX_SEGMENTS + 1)),
    ],
    ids=["png", "jpeg", "webp"],
)
def test_a_picture_of_endless_segments_is_refused(data: bytes):
    with pytest.raises(PictureError, match=f"more than {MAX_SEGMENTS}"):
        read_header(data)


def test_a_long_run_of_fill_bytes_takes_linear_time():
    with pytest.raises(PictureError, match="truncated"):
        read_header(b"\xff\xd8" + b"\xff" * 2**22 + b"\0")


def test_a_webp_whose_chunks_differ_in_size_is_refused():
    large = PICTURES["lossless"][12:]
    small = encode(gradient(8, 8), ".webp", 64, 90)[12:]
    for chunks in ([large, small], [webp_canvas((9, 9), flags=0), large]):
        with pytest.raises(PictureError, match="differ in size"):
            read_header(webp(*chunks))


@pytest.mark.parametrize(
    "chunk",
    [
        webp_canvas(SIZE, flags=0),
        riff_chunk(b"VP8X", bytes(9)),
        riff_chunk(b"VP8 ", bytes(10)),
        riff_chunk(b"VP8 ", bytes(9)),
        riff_chunk(b"VP8L", b"\x2f"),
        riff_chunk(b"VP8L", bytes(5)),
        b"VP8 \xff\0\0\0",
        b"",
    ],
)
def test_a_webp_without_its_parts_is_refused(chunk: bytes):
    with pytest.raises(PictureError):
        read_header(webp(chunk))


def test_animations_are_refused_with_the_way_out():
    frames = riff_chunk(b"ANIM", bytes(6)) + riff_chunk(b"ANMF", bytes(16))
    control = png_chunk(b"acTL", struct.pack(">II", 2, 0))
    pictures = [
        webp(webp_canvas(SIZE, flags=0x02), frames),
        png((1, 1), depth=8, colour_type=0, rows=[b"\0"], extra=control),
    ]
    for picture in pictures:
        with pytest.raises(PictureError, match="save one frame"):
            read_header(picture)


@pytest.mark.parametrize("metadata", [b"", exif(6)])
@pytest.mark.parametrize("kind", FORMATS)
def test_the_beginning_of_a_file_gives_the_size(kind: str, metadata: bytes):
    picture = with_exif(PICTURES[kind], SIZE, metadata) if metadata else PICTURES[kind]
    assert read_size(picture) == SIZE[::-1]
    enough = next(cut for cut in range(len(picture) + 1) if size_or_none(picture[:cut]))
    assert enough < min(len(picture), 750)
    # With fewer bytes there is no size, and with more it is the same.
    for cut in range(len(picture)):
        assert size_or_none(picture[:cut]) == (SIZE[::-1] if cut >= enough else None)


def size_or_none(start: bytes) -> tuple[int, int] | None:
    try:
        return read_size(start)
    except PictureError:
        return None


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"", "not a PNG, JPEG or WebP"),
        (b"GIF89a", "not a PNG, JPEG or WebP"),
        (PNG_SIGNATURE + png_chunk(b"IDAT", b""), "does not begin with IHDR"),
        (PNG_SIGNATURE + png_chunk(b"IHDR", bytes(13)), "announces no pixels"),
        (b"\xff\xd8\xff\xd9", "ends before any pixels"),
        (webp(riff_chunk(b"ANMF", bytes(10))), "holds no pixels"),
        (webp(webp_canvas((8, 8), flags=0x02)), "animation"),
    ],
)
def test_a_beginning_without_a_size_is_an_error(start: bytes, message: str):
    with pytest.raises(PictureError, match=message):
        read_size(start)
