import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from crafted_pictures import every_kind, exif, gradient, with_exif
from hypothesis import given
from hypothesis import strategies as st
from picture_folders import fill, plain_png

from dcae_export.errors import PictureError
from dcae_export.pictures.file_names import FileNames
from dcae_export.pictures.folder_scan import scan
from dcae_export.pictures.picture_file import MAX_BYTES
from dcae_export.pictures.skipped import SkipReason

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="names and pipes of Linux")


@given(st.lists(st.binary(max_size=20)))
def test_file_names_come_back_as_they_were(names: list[bytes]):
    held = FileNames(names)
    assert len(held) == len(names)
    assert [os.fsencode(name) for name in held] == names


def test_file_names_take_little_more_than_their_bytes():
    tracemalloc.start()
    held = FileNames(b"n%08d/picture_%08d.JPEG" % (n // 1000, n) for n in range(50_000))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 31 bytes of name and 8 of its end; the array grows in steps of a sixteenth or so.
    assert used / len(held) < 48


def test_pictures_are_found_in_subfolders_and_sorted(tmp_path: Path):
    fill(tmp_path, range(5))
    (tmp_path / "b.PNG").write_bytes(plain_png(5))
    (tmp_path / "a.webp").write_bytes(every_kind(gradient(8, 8))["webp"])
    (tmp_path / "notes.txt").write_text("no picture")
    names, skipped = scan(tmp_path, min_side=8)
    assert list(names) == [
        "a.webp",
        "b.PNG",
        *("class-0/0000.png", "class-0/0002.png", "class-0/0004.png"),
        *("class-1/0001.png", "class-1/0003.png"),
    ]
    assert len(skipped) == 0


def test_names_that_begin_with_a_dot_are_passed_over(tmp_path: Path):
    fill(tmp_path, range(2))
    (tmp_path / "._0000.png").write_bytes(b"of another system")
    fill(tmp_path / ".thumbnails", range(2))
    names, skipped = scan(tmp_path, min_side=8)
    assert len(names) == 2
    assert len(skipped) == 0


def test_what_cannot_be_used_is_listed_with_its_reason(tmp_path: Path):
    fill(tmp_path, range(2))
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "flat.png").write_bytes(plain_png(1, (7, 100)))
    huge = tmp_path / "huge.png"
    huge.write_bytes(plain_png(1))
    os.truncate(huge, MAX_BYTES + 1)
    names, skipped = scan(tmp_path, min_side=8)
    assert len(names) == 2
    assert {skip.name: (skip.reason, skip.detail.split(";")[0]) for skip in skipped.listed} == {
        "empty.png": (SkipReason.UNREADABLE, "not a PNG, JPEG or WebP picture"),
        "text.jpg": (SkipReason.UNREADABLE, "not a PNG, JPEG or WebP picture"),
        "flat.png": (SkipReason.TOO_SMALL, "100 x 7, at least 8 pixels a side are needed"),
        "huge.png": (
            SkipReason.TOO_LARGE,
            f"{MAX_BYTES + 1} bytes, at most {MAX_BYTES} are read",
        ),
    }


def test_a_picture_of_too_many_pixels_is_known_by_its_header(tmp_path: Path):
    fill(tmp_path, range(1))
    png = bytearray(every_kind(gradient(8, 8))["jpeg"])
    frame = png.index(b"\xff\xc0") + 5
    png[frame : frame + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "bomb.jpg").write_bytes(png)
    _, skipped = scan(tmp_path, min_side=8)
    assert [skip.reason for skip in skipped.listed] == [SkipReason.TOO_LARGE]


def test_a_size_behind_long_metadata_is_found(tmp_path: Path):
    segment = b"\xff\xe2\xff\xff" + bytes(2**16 - 3)
    jpeg = every_kind(gradient(8, 8))["jpeg"]
    (tmp_path / "profile.jpg").write_bytes(jpeg[:2] + 2 * segment + jpeg[2:])
    names, skipped = scan(tmp_path, min_side=8)
    assert list(names) == ["profile.jpg"], skipped.listed


def test_a_picture_that_is_turned_is_measured_by_its_shorter_side(tmp_path: Path):
    png = with_exif(plain_png(1, (8, 30)), (8, 30), exif(6))
    (tmp_path / "turned.png").write_bytes(png)
    names, _ = scan(tmp_path, min_side=8)
    assert list(names) == ["turned.png"]


@linux_only
def test_links_to_files_are_followed_and_links_to_folders_are_listed(tmp_path: Path):
    outside = fill(tmp_path / "outside", range(2))
    folder = fill(tmp_path / "folder", range(2, 4))
    (folder / "linked.png").symlink_to(outside / "class-0" / "0000.png")
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "others").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (tmp_path / "link").symlink_to(folder)
    names, skipped = scan(tmp_path / "link", min_side=8)
    assert list(names) == ["linked.png", "class-0/0002.png", "class-1/0003.png"]
    details = {skip.name: skip.detail for skip in skipped.listed}
    assert details["gone.png"] == "No such file or directory"
    assert "give that folder itself" in details["others"]
    assert details.keys() == {"gone.png", "others", "loop"}


@linux_only
def test_a_pipe_with_the_name_of_a_picture_is_never_opened(tmp_path: Path):
    fill(tmp_path, range(1))
    os.mkfifo(tmp_path / "pipe.png")
    _, skipped = scan(tmp_path, min_side=8)
    assert [skip.detail for skip in skipped.listed] == ["not a regular file"]


@linux_only
def test_a_name_that_is_no_text_is_found_and_listed(tmp_path: Path):
    for name, data in ((b"\xff.png", plain_png(1)), (b"\xfe\n.png", b"")):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:  # noqa: PTH123 - bytes
            file.write(data)
    names, skipped = scan(tmp_path, min_side=8)
    assert [os.fsencode(name) for name in names] == [b"\xff.png"]
    assert [skip.name for skip in skipped.listed] == ["\\udcfe\\n.png"]


def test_progress_ends_at_the_number_of_pictures(tmp_path: Path):
    fill(tmp_path, range(3))
    calls: list[tuple[int, int]] = []
    scan(tmp_path, min_side=8, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3, 3)]


def test_a_folder_without_usable_pictures_is_one_line_that_says_why(tmp_path: Path):
    with pytest.raises(PictureError, match=r"nowhere: cannot be read: No such file.*; give a fol"):
        scan(tmp_path / "nowhere", min_side=8)
    with pytest.raises(PictureError, match=r"holds no file that ends in \.png"):
        scan(tmp_path, min_side=8)
    fill(tmp_path, range(3))
    with pytest.raises(
        PictureError, match=r"\(3 too small\); the first, class-0/0000.png: 8 x 8, .*smaller size"
    ):
        scan(tmp_path, min_side=9)
