import time
from pathlib import Path

import numpy as np
import pytest
from crafted_pictures import encode
from picture_folders import fill, plain

from dcae_export.errors import PictureError
from dcae_export.evaluation.pictures import SHORTFALL, EvaluatedPictures, ReadBatch
from dcae_export.pictures import failures_in_a_row
from dcae_export.pictures.skipped import Skip, SkipReason


def numbers_in(batches: list[ReadBatch]) -> list[int]:
    """The numbers of the plain pictures, from their colours."""
    return [int(image[0, 0, 1]) for batch in batches for image in batch.images]


def same(image: np.ndarray) -> np.ndarray:
    return image


def test_pictures_come_in_the_order_of_their_names_a_batch_at_a_time(tmp_path):
    pictures = EvaluatedPictures.find(fill(tmp_path, range(5)), count=None)
    batches = list(pictures.read(range(5), batch_size=2, prepare=same))
    assert numbers_in(batches) == [0, 2, 4, 1, 3]
    assert [batch.items for batch in batches] == [2, 2, 1]
    assert [batch.numbers for batch in batches] == [(0, 1), (2, 3), (4,)]
    assert pictures.name(0) == "class-0/0000.png"
    assert numbers_in(list(pictures.read(range(1, 3), batch_size=2, prepare=same))) == [2, 4]


def test_a_count_takes_pictures_from_all_over_the_folder(tmp_path):
    folder = fill(tmp_path, range(10))
    some = EvaluatedPictures.find(folder, count=4)
    assert some.count == 4
    assert numbers_in(list(some.read(range(4), batch_size=4, prepare=same))) == [0, 4, 1, 5]
    assert EvaluatedPictures.find(folder, count=99).count == 10


def test_each_is_prepared_and_may_be_of_any_size(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(plain(1, (4, 9)), ".png"))
    (tmp_path / "b.png").write_bytes(encode(plain(2, (5, 5)), ".png"))
    pictures = EvaluatedPictures.find(tmp_path, count=None)
    (batch,) = pictures.read(range(2), batch_size=2, prepare=lambda image: image[:2, :2])
    assert [image.shape for image in batch.images] == [(2, 2, 3)] * 2


def test_damaged_pictures_are_left_out_and_named(tmp_path):
    folder = fill(tmp_path, range(4))
    whole = encode(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), ".png")
    (folder / "class-0" / "0000.png").write_bytes(whole[: len(whole) // 2])
    (folder / "class-1" / "0001.png").write_bytes(b"no picture")
    pictures = EvaluatedPictures.find(folder, count=None)
    # One has no header that can be read, and is no item; of the other that is found when it is decoded.
    assert pictures.count == 3
    assert [skip.name for skip in pictures.skipped.listed] == ["class-1/0001.png"]
    (batch,) = pictures.read(range(3), batch_size=3, prepare=same)
    assert (batch.items, batch.numbers) == (3, (1, 2))
    (skip,) = batch.skipped
    assert (skip.name, skip.reason) == ("class-0/0000.png", SkipReason.UNREADABLE)
    assert "truncated" in skip.detail
    both = "2 unreadable: class-1/0001.png, class-0/0000.png"
    assert pictures.left_out(batch.skipped) == both
    # Each once, however often it is met.
    assert pictures.left_out(batch.skipped) == both


def test_fewer_pictures_than_asked_for_are_told_with_the_reason(tmp_path):
    folder = fill(tmp_path, range(4))
    assert EvaluatedPictures.find(folder, count=4).outcome(()) == {"left out": "none"}
    skip = Skip.of("a.png", SkipReason.UNREADABLE, "truncated")
    left_out = {"left out": "1 unreadable: a.png"}
    assert EvaluatedPictures.find(folder, count=None).outcome((skip,)) == left_out
    damaged = "1 cannot be read, and no other one stands in"
    assert EvaluatedPictures.find(folder, count=3).outcome((skip,)) == left_out | {
        "shortfall": f"2 of 3 measured: {damaged}"
    }
    few = f"{folder} holds no more than 4"
    assert EvaluatedPictures.find(folder, count=9).outcome((skip,)) == left_out | {
        "shortfall": f"3 of 9 measured: {few}; {damaged}"
    }


def test_a_count_is_filled_from_the_pictures_whose_headers_can_be_read(tmp_path):
    folder = fill(tmp_path, range(5))
    for number in (0, 2):
        (folder / "class-0" / f"000{number}.png").write_bytes(b"no picture")
    pictures = EvaluatedPictures.find(folder, count=3)
    (batch,) = pictures.read(range(3), batch_size=3, prepare=same)
    assert numbers_in([batch]) == [4, 1, 3]
    assert SHORTFALL not in pictures.outcome(batch.skipped)


def test_a_picture_that_is_gone_ends_the_evaluation(tmp_path):
    folder = fill(tmp_path, range(4))
    pictures = EvaluatedPictures.find(folder, count=None)
    (folder / "class-1" / "0001.png").unlink()
    with pytest.raises(PictureError, match=r"0001\.png: is gone since it was found; put it back"):
        list(pictures.read(range(4), batch_size=2, prepare=same))


def test_too_many_in_a_row_that_cannot_be_read_end_the_evaluation(tmp_path, monkeypatch):
    monkeypatch.setattr(failures_in_a_row, "MAX_FAILURES_IN_A_ROW", 4)
    folder = fill(tmp_path, range(7))
    pictures = EvaluatedPictures.find(folder, count=None)
    names = [pictures.name(number) for number in range(7)]
    for name in names[:3]:
        (folder / name).write_bytes(b"no picture")
    assert len(list(pictures.read(range(7), batch_size=1, prepare=same))) == 7
    (folder / names[3]).write_bytes(b"no picture")
    with pytest.raises(
        PictureError, match=r"4 pictures in a row cannot be read; the last, .* disk"
    ):
        list(pictures.read(range(7), batch_size=1, prepare=same))


def test_of_many_that_are_left_out_the_first_are_named(tmp_path):
    folder = fill(tmp_path, range(1))
    for number in range(7):
        (folder / f"bad{number}.png").write_bytes(b"no picture")
    pictures = EvaluatedPictures.find(folder, count=None)
    assert (
        pictures.left_out(())
        == "7 unreadable: bad0.png, bad1.png, bad2.png, bad3.png, bad4.png, ..."
    )
    (folder / "good").mkdir()
    assert EvaluatedPictures.find(fill(folder / "good", [3]), count=None).left_out(()) == "none"


def test_the_digest_tells_choices_of_pictures_apart(tmp_path):
    folder = fill(tmp_path, range(6))
    digests = {EvaluatedPictures.find(folder, count=n).digest for n in (1, 2, 3, 6)}
    assert len(digests) == 4
    assert EvaluatedPictures.find(folder, count=3).digest in digests


def test_the_next_batch_is_read_while_one_is_used_and_no_further(tmp_path):
    prepared: list[int] = []

    def note(image: np.ndarray) -> np.ndarray:
        prepared.append(int(image[0, 0, 1]))
        return image

    pictures = EvaluatedPictures.find(fill(tmp_path, range(8)), count=None)
    batches = pictures.read(range(8), batch_size=2, prepare=note)
    next(batches)
    until = time.monotonic() + 5
    while len(prepared) < 4 and time.monotonic() < until:
        time.sleep(0.001)
    assert sorted(prepared) == [0, 2, 4, 6]
    batches.close()


def test_a_folder_without_pictures_is_an_error(tmp_path: Path):
    with pytest.raises(PictureError, match="holds no file that ends in"):
        EvaluatedPictures.find(tmp_path, count=None)
