from pathlib import Path

import pytest
import torch
from picture_folders import SIDE, number_of, plain_png

from dcae_export.errors import PictureError
from dcae_export.training.data.cropped_pictures import CroppedPictures, cropped_pictures
from dcae_export.training.data.labelled_pictures import LabelledPictures, find_pictures


@pytest.fixture
def pictures(tmp_path: Path) -> LabelledPictures:
    """Six pictures in the order of their numbers, wider than high."""
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(plain_png(number, (SIDE + 3, SIDE + 9)))
    return find_pictures(tmp_path, min_side=1, flat=False)


def crop(pictures: LabelledPictures, *ranges: range) -> list[CroppedPictures]:
    return list(cropped_pictures(pictures, size=SIDE, ranges=ranges, workers=0))


def test_pictures_come_by_number_as_squares_in_their_range(pictures: LabelledPictures):
    first, second = crop(pictures, range(2, 5), range(1))
    assert (first.numbers, first.num_asked, first.skipped) == ((2, 3, 4), 3, ())
    assert first.images.shape == (3, 3, SIDE, SIDE)
    assert first.images.dtype == torch.float32
    assert [number_of(image) for image in first.images] == [2, 3, 4]
    assert [number_of(image) for image in second.images] == [0]


def test_a_damaged_picture_is_left_out_and_told(pictures: LabelledPictures):
    damaged = pictures.folder / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:-12])
    (batch,) = crop(pictures, range(3))
    assert (batch.numbers, batch.num_asked) == ((0, 2), 3)
    assert [number_of(image) for image in batch.images] == [0, 2]
    assert [(skip.name, skip.detail[:20]) for skip in batch.skipped] == [
        ("1.png", "the PNG is truncated")
    ]


def test_a_batch_of_damaged_pictures_is_empty(pictures: LabelledPictures):
    (pictures.folder / "5.png").write_bytes(b"no picture")
    (batch,) = crop(pictures, range(5, 6))
    assert (batch.numbers, len(batch.images), len(batch.skipped)) == ((), 0, 1)


def test_a_picture_that_is_gone_ends_the_work(pictures: LabelledPictures):
    (pictures.folder / "3.png").unlink()
    with pytest.raises(PictureError, match=r"3\.png: is gone since it was found; put it back"):
        crop(pictures, range(6))


def test_the_bound_on_the_shorter_side_holds_for_files_that_were_exchanged(
    pictures: LabelledPictures,
):
    bounded = find_pictures(pictures.folder, min_side=SIDE, flat=False)
    (pictures.folder / "0.png").write_bytes(plain_png(0, (SIDE - 1, SIDE)))
    (batch,) = crop(bounded, range(2))
    assert batch.numbers == (1,)
