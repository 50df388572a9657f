import io
import tarfile

import pytest
import webdataset
from crafted_pictures import every_kind, gradient
from picture_folders import plain_png, tar

from dcae_export.pictures.picture_file import MAX_BYTES
from dcae_export.pictures.skipped import Skip, SkipReason
from dcae_export.training.data.tar_pictures import EncodedPicture, tar_pictures


def read(data: bytes, *, min_side: int = 1) -> tuple[list[EncodedPicture], list[Skip]]:
    skips: list[Skip] = []
    stream = io.BytesIO(data)
    return list(tar_pictures(stream, "s.tar", min_side=min_side, report=skips.append)), skips


def test_each_picture_of_a_shard_comes_in_order():
    kinds = every_kind(gradient(8, 8))
    members = [
        ("a/0.png", kinds["png"]),
        ("a/0.json", b"{}"),
        ("a/1.JPG", kinds["jpeg"]),
        ("a/2.jpeg", kinds["progressive"]),
        ("a/3.cls", b"3"),
        ("a/3.webp", kinds["webp"]),
        ("README", b"text"),
    ]
    pictures, skips = read(tar(members))
    assert [picture.name for picture in pictures] == [
        "s.tar/a/0.png",
        "s.tar/a/1.jpg",
        "s.tar/a/2.jpeg",
        "s.tar/a/3.webp",
    ]
    assert pictures[2].data == kinds["progressive"]
    assert skips == []


def test_what_webdataset_writes_is_read():
    buffer = io.BytesIO()
    writer = webdataset.TarWriter(buffer)
    for number in range(3):
        writer.write({"__key__": f"{number:06d}", "png": plain_png(number), "cls": number})
    writer.close()
    pictures, skips = read(buffer.getvalue())
    assert [picture.data for picture in pictures] == [plain_png(number) for number in range(3)]
    assert skips == []


def test_a_sample_gives_its_photograph_and_not_its_mask():
    jpeg = every_kind(gradient(8, 8))["jpeg"]
    members = [("0.png", plain_png(0)), ("0.jpg", jpeg), ("0.depth.png", plain_png(1))]
    pictures, skips = read(tar(members))
    assert [picture.name for picture in pictures] == ["s.tar/0.jpg"]
    assert skips == []


def test_small_large_and_damaged_pictures_are_reported():
    members = [
        ("0.png", plain_png(0, (7, 20))),
        ("1.png", plain_png(1)[:-12]),
        ("2.jpg", b""),
        ("3.png", plain_png(3)),
    ]
    pictures, skips = read(tar(members), min_side=8)
    assert [picture.name for picture in pictures] == ["s.tar/3.png"]
    assert [(skip.name, skip.reason) for skip in skips] == [
        ("s.tar/0.png", SkipReason.TOO_SMALL),
        ("s.tar/1.png", SkipReason.UNREADABLE),
        ("s.tar/2.jpg", SkipReason.UNREADABLE),
    ]


def test_a_name_that_comes_twice_is_reported():
    pictures, skips = read(tar([("0.png", plain_png(0)), ("0.png", plain_png(1))]))
    assert [picture.data for picture in pictures] == [plain_png(0)]
    assert [skip.name for skip in skips] == ["s.tar/0.png"]
    assert "duplicate" in skips[0].detail


def test_a_file_of_too_many_bytes_is_reported_and_not_read():
    header = tarfile.TarInfo("0.png")
    header.size = MAX_BYTES + 1
    skips: list[Skip] = []
    stream = io.BytesIO(header.tobuf() + bytes(2**16))
    pictures = tar_pictures(stream, "s.tar", min_side=1, report=skips.append)
    with pytest.raises(tarfile.TarError):
        list(pictures)
    assert [skip.reason for skip in skips] == [SkipReason.TOO_LARGE]


@pytest.mark.parametrize("style", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read_in_both_ways_of_writing_them(style: int):
    buffer = io.BytesIO()
    name = "folder/" * 60 + "0.png"
    with tarfile.open(fileobj=buffer, mode="w", format=style) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(plain_png(0))
        archive.addfile(info, io.BytesIO(plain_png(0)))
    pictures, _ = read(buffer.getvalue())
    assert [picture.name for picture in pictures] == [f"s.tar/{name}"]


def test_an_empty_archive_holds_nothing():
    assert read(tar([])) == ([], [])
