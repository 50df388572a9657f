import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from crafted_pictures import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_folders import SIDE, fill, number_of, numbers_of, plain_png, take
from torch import Tensor

from dcae_export.errors import ConfigError, PictureError
from dcae_export.pictures.crops import TrainingCrop, adm_crop
from dcae_export.pictures.folder_scan import scan
from dcae_export.pictures.skipped import SkipReason
from dcae_export.training.data import image_folder as module
from dcae_export.training.data.image_folder import ImageFolder, ImageFolderData
from dcae_export.training.data.loading import Loading

CROP = TrainingCrop(size=SIDE, min_area=0.5)


def open_data(
    folder: Path, *, batch_size: int = 2, rank: int = 0, world_size: int = 1, seed: int = 0
) -> ImageFolderData:
    loading = Loading(batch_size=batch_size, rank=rank, world_size=world_size)
    return ImageFolderData.open(folder, crop=CROP, loading=loading, seed=seed)


def images(taken: list[tuple[Tensor, dict[str, int]]]) -> list[Tensor]:
    return [batch for batch, _ in taken]


def noise_folder(folder: Path, count: int) -> Path:
    """Pictures whose crops differ by where they are cut."""
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 31, 3), np.uint8)
        (folder / f"{number}.png").write_bytes(encode(pixels, ".png"))
    return folder


def test_a_batch_is_float32_of_the_size_in_its_range(tmp_path: Path):
    ((batch, position),) = take(open_data(fill(tmp_path, range(3))), 1)
    assert batch.shape == (2, 3, SIDE, SIDE)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous()
    assert -1 <= batch.min() <= batch.max() <= 1
    assert position == {"sample": 2}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_each_epoch_shows_every_picture_once_in_another_order(tmp_path: Path, batch_size: int):
    data = open_data(fill(tmp_path, range(12)), batch_size=batch_size)
    assert len(data) == 12
    shown = numbers_of(images(take(data, 36 // batch_size + 1)))
    epochs = [shown[start : start + 12] for start in (0, 12, 24)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(12))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_another_seed_gives_another_order(tmp_path: Path):
    fill(tmp_path, range(12))
    one, again, other = (
        numbers_of(images(take(open_data(tmp_path, seed=seed), 6))) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_a_picture_is_cut_otherwise_in_each_epoch(tmp_path: Path):
    data = open_data(noise_folder(tmp_path / "noise", 1), batch_size=1)
    first, second = images(take(data, 2))
    assert not torch.equal(first, second)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(done=st.integers(0, 30))
def test_resumed_at_any_position_the_stream_goes_on_bit_for_bit(
    noise_data: ImageFolderData, done: int
):
    whole = take(noise_data, done + 4)
    position = whole[done - 1][1] if done else {}
    rest = take(noise_data, 4, position)
    for (batch, after), (expected, expected_after) in zip(rest, whole[done:], strict=True):
        assert torch.equal(batch, expected)
        assert after == expected_after


@pytest.fixture
def noise_data(tmp_path: Path) -> ImageFolderData:
    return open_data(noise_folder(tmp_path / "noise", 5), batch_size=3)


def test_two_processes_see_what_one_would_see(tmp_path: Path):
    folder = noise_folder(tmp_path / "noise", 7)
    alone = images(take(open_data(folder, batch_size=4), 5))
    ranks = [
        images(take(open_data(folder, batch_size=2, rank=rank, world_size=2), 5)) for rank in (0, 1)
    ]
    for expected, first, second in zip(alone, *ranks, strict=True):
        assert torch.equal(torch.cat([first, second]), expected)


def test_a_run_goes_on_with_another_number_of_processes_where_it_stood(tmp_path: Path):
    folder = fill(tmp_path, range(12))
    alone = numbers_of(images(take(open_data(folder), 6)))
    two = [open_data(folder, batch_size=1, rank=rank, world_size=2) for rank in (0, 1)]
    stored = take(two[0], 3)[-1][1]
    assert take(two[1], 3)[-1][1] == stored
    assert numbers_of(images(take(open_data(folder), 3, stored))) == alone[6:]


def test_what_is_opened_does_not_move_with_the_names_of_other_files(tmp_path: Path):
    folder = fill(tmp_path, range(6))
    before = numbers_of(images(take(open_data(folder), 6)))
    (folder / "README.md").write_text("pictures")
    (folder / "small.png").write_bytes(plain_png(99, (SIDE, SIDE - 1)))
    data = open_data(folder)
    assert numbers_of(images(take(data, 6))) == before
    assert data.skipped.counts == {SkipReason.TOO_SMALL: 1}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-12])


def test_the_next_picture_stands_in_for_one_that_cannot_be_decoded(tmp_path: Path):
    folder = fill(tmp_path, range(8))
    sound = numbers_of(images(take(open_data(folder, batch_size=4), 4)))
    truncate(folder / "class-1" / "0003.png")
    data = open_data(folder, batch_size=4)
    assert len(data) == 8
    shown = numbers_of(images(take(data, 4)))
    expected: list[int] = []
    for epoch in (sound[:8], sound[8:]):
        stand_in = epoch[(epoch.index(3) + 1) % 8]
        expected += [stand_in if number == 3 else number for number in epoch]
    assert shown == expected
    (skip,) = data.skipped.listed
    assert skip.name == "class-1/0003.png"
    assert skip.reason is SkipReason.UNREADABLE
    assert skip.detail.startswith("the PNG is truncated")
    assert numbers_of(images(take(open_data(folder, batch_size=4), 4))) == shown


def test_a_picture_that_has_become_smaller_than_the_scan_saw_is_skipped(tmp_path: Path):
    folder = fill(tmp_path, range(2))
    data = open_data(folder, batch_size=1)
    (folder / "class-1" / "0001.png").write_bytes(plain_png(1, (SIDE, SIDE - 1)))
    assert numbers_of(images(take(data, 4))) == [0, 0, 0, 0]
    assert data.skipped.counts == {SkipReason.TOO_SMALL: 1}


def test_small_pictures_are_enlarged_where_that_is_wanted(tmp_path: Path):
    (tmp_path / "small.png").write_bytes(plain_png(77, (3, 5)))
    crop = TrainingCrop(size=SIDE, min_area=0.5, enlarge=True)
    data = ImageFolderData.open(tmp_path, crop=crop, loading=Loading(batch_size=1), seed=0)
    ((batch, _),) = take(data, 1)
    assert number_of(batch[0]) == 77


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_FAILURES_IN_A_ROW", 3)
    folder = fill(tmp_path / "pictures", range(6))
    data = open_data(folder)
    folder.rename(tmp_path / "moved")
    with pytest.raises(PictureError) as raised:
        take(data, 1)
    message = str(raised.value)
    assert "\n" not in message
    assert "3 pictures in a row cannot be read" in message
    assert "No such file or directory" in message


def test_a_position_of_other_data_is_refused(tmp_path: Path):
    data = open_data(fill(tmp_path, range(2)))
    with pytest.raises(ConfigError, match="its position names 'imagenet'; resume with the same"):
        take(data, 1, {"imagenet": 3})


def test_for_evaluation_the_same_pictures_come_as_centre_crops(tmp_path: Path):
    folder = noise_folder(tmp_path / "noise", 4)
    data = open_data(folder, batch_size=4)
    ((batch, _),) = take(data.for_evaluation(), 1)
    again = images(take(data.for_evaluation(), 1))
    assert torch.equal(batch, again[0])
    expected = [
        adm_crop(np.random.default_rng(number).integers(0, 256, (20, 31, 3), np.uint8), SIDE)
        for number in range(4)
    ]
    crops = ((batch + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert sorted(crop.tobytes() for crop in crops) == sorted(crop.tobytes() for crop in expected)


def test_a_sample_is_a_function_of_folder_seed_and_number(tmp_path: Path):
    folder = noise_folder(tmp_path / "noise", 5)
    forwards, backwards = (
        ImageFolder(folder, scan(folder, min_side=SIDE)[0], crop=CROP, seed=3) for _ in range(2)
    )
    first = [forwards.sample(n)[0] for n in range(12)]
    last = [backwards.sample(n)[0] for n in reversed(range(12))]
    assert all(np.array_equal(a, b) for a, b in zip(first, reversed(last), strict=True))


def test_a_folder_goes_to_a_worker_that_shares_no_memory(tmp_path: Path):
    folder = noise_folder(tmp_path / "noise", 3)
    images_of = ImageFolder(folder, scan(folder, min_side=SIDE)[0], crop=CROP, seed=3)
    sent: ImageFolder = pickle.loads(pickle.dumps(images_of))
    assert np.array_equal(sent.sample(5)[0], images_of.sample(5)[0])


def test_loading_moves_no_generator_of_torch(tmp_path: Path):
    data = open_data(fill(tmp_path, range(3)))
    before = torch.get_rng_state()
    take(data, 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"batch_size": 1, "workers": -1}, {"batch_size": 1, "rank": 1}],
)
def test_an_impossible_share_is_a_config_error(wrong: dict[str, int]):
    with pytest.raises(ConfigError):
        Loading(**wrong)
