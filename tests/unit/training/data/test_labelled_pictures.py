import hashlib
import os
import sys
from pathlib import Path

import pytest
from picture_folders import plain_png

from dcae_export.errors import PictureError, UsageError
from dcae_export.training.data.labelled_pictures import LabelledPictures, find_pictures

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="names of Linux")


def put(folder: Path, *names: str, size: tuple[int, int] = (8, 8)) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plain_png(0, size))
    return folder


def find(folder: Path, *, flat: bool = False, min_side: int = 1) -> LabelledPictures:
    return find_pictures(folder, min_side=min_side, flat=flat)


def labels(pictures: LabelledPictures) -> dict[str, int]:
    return {name: pictures.label(number) for number, name in enumerate(pictures.names)}


def test_class_folders_become_labels_in_the_order_of_their_names(tmp_path: Path):
    pictures = find(put(tmp_path, "b/2.png", "a/1.png", "B/3.png", "b/deep/er/4.png"))
    assert pictures.classes == ("B", "a", "b")
    assert labels(pictures) == {"B/3.png": 0, "a/1.png": 1, "b/2.png": 2, "b/deep/er/4.png": 2}


def test_pictures_without_class_folders_have_no_labels(tmp_path: Path):
    pictures = find(put(tmp_path, "1.png", "2.png"))
    assert pictures.classes is None
    assert len(pictures) == 2


def test_flat_pictures_have_no_labels_wherever_they_lie(tmp_path: Path):
    pictures = find(put(tmp_path, "1.png", "a/2.png"), flat=True)
    assert pictures.classes is None
    assert list(pictures.names) == ["1.png", "a/2.png"]


def test_a_picture_beside_class_folders_is_named_with_one_of_them(tmp_path: Path):
    put(tmp_path, "a/1.png", "loose.png")
    with pytest.raises(UsageError, match=r"loose\.png lies beside class folders such as a; move"):
        find(tmp_path)


def test_a_class_without_a_usable_picture_would_move_labels_and_is_an_error(tmp_path: Path):
    put(tmp_path, "a/1.png", "c/3.png")
    put(tmp_path, "b/2.png", size=(8, 7))
    assert labels(find(tmp_path))["c/3.png"] == 2
    with pytest.raises(PictureError, match="the class folder b holds no picture that can be used"):
        find(tmp_path, min_side=8)
    assert find(tmp_path, min_side=8, flat=True).classes is None


def test_a_class_folder_that_is_a_link_is_not_lost_without_a_word(tmp_path: Path):
    put(tmp_path / "set", "a/1.png", "c/3.png")
    (tmp_path / "set" / "b").symlink_to(put(tmp_path / "elsewhere", "2.png"))
    with pytest.raises(PictureError, match="the class folder b holds no picture"):
        find(tmp_path / "set")


def test_hidden_folders_and_other_files_are_no_classes(tmp_path: Path):
    put(tmp_path, "a/1.png", ".thumbnails/1.png")
    (tmp_path / "README.md").write_text("pictures")
    assert find(tmp_path).classes == ("a",)


@linux_only
def test_a_class_that_cannot_be_printed_is_an_error(tmp_path: Path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    put(Path(folder), "1.png")
    with pytest.raises(
        PictureError, match=r"the class '\\udcff' holds char.* cannot be printed; rename"
    ):
        find(tmp_path)


def test_a_class_of_a_longer_name_than_a_bundle_takes_is_an_error(tmp_path: Path):
    assert find(put(tmp_path / "taken", "a" * 200 + "/1.png")).classes == ("a" * 200,)
    put(tmp_path / "refused", "a" * 201 + "/1.png")
    with pytest.raises(PictureError, match="has 201 characters, and 1 to 200 are possible; ren"):
        find(tmp_path / "refused")


def test_the_digest_is_that_of_the_names(tmp_path: Path):
    pictures = find(put(tmp_path, "a/1.png", "b/2.png"))
    assert pictures.digest() == hashlib.sha256(b"a/1.png\0b/2.png\0").hexdigest()
    put(tmp_path, "b/3.png")
    assert find(tmp_path).digest() != pictures.digest()


def test_what_the_scan_left_out_is_kept(tmp_path: Path):
    put(tmp_path, "1.png")
    put(tmp_path, "small.png", size=(3, 9))
    assert [skip.name for skip in find(tmp_path, min_side=4).skipped.listed] == ["small.png"]
