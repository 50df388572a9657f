from pathlib import Path

import pytest
import torch
from file_server import serve
from picture_folders import SIDE, numbers_of, take, write_shard

from dcae_export.errors import ConfigError, PictureError
from dcae_export.pictures.crops import TrainingCrop
from dcae_export.training.data.loading import Loading
from dcae_export.training.data.mixture import MixtureSettings
from dcae_export.training.data.shard_files import find_shards
from dcae_export.training.data.shard_stream import ShardSource
from dcae_export.training.data.shards import ShardData

CROP = TrainingCrop(size=SIDE, min_area=0.5)


def make_set(folder: Path, name: str, num_shards: int, *, size: int = 4, first: int = 0) -> Path:
    for shard in range(num_shards):
        start = first + size * shard
        write_shard(folder / name / f"{shard:03d}.tar", range(start, start + size))
    return folder / name


def open_data(
    *places: Path | str, batch_size: int = 2, rank: int = 0, world_size: int = 1, buffer: int = 3
) -> ShardData:
    sources = tuple(
        ShardSource(name=Path(place).name, shards=find_shards(str(place)), weight=1)
        for place in places
    )
    settings = MixtureSettings(sources=sources, crop=CROP, seed=0, shuffle_buffer=buffer)
    return ShardData(
        settings, loading=Loading(batch_size=batch_size, rank=rank, world_size=world_size)
    )


def numbers(taken: list[tuple[torch.Tensor, dict[str, int]]]) -> list[int]:
    return numbers_of(batch for batch, _ in taken)


def test_batches_are_float32_with_a_position_for_each_source(tmp_path: Path):
    data = open_data(make_set(tmp_path, "a", 2), make_set(tmp_path, "b", 2))
    ((batch, position),) = take(data, 1)
    assert batch.shape == (2, 3, SIDE, SIDE)
    assert batch.dtype == torch.float32
    assert position == {"a": 0, "b": 0}
    assert len(data.skipped) == 0


def test_two_processes_share_an_epoch(tmp_path: Path):
    folder = make_set(tmp_path, "a", 6)
    together: list[int] = []
    for rank in (0, 1):
        together += numbers(take(open_data(folder, rank=rank, world_size=2, buffer=1), 6))
    assert sorted(together) == list(range(24))


def test_a_resumed_run_shows_every_picture_that_was_not_shown(tmp_path: Path):
    folder = make_set(tmp_path, "a", 6)
    for killed_after in range(1, 12):
        before = take(open_data(folder), killed_after)
        position = before[-1][1]
        shown = numbers(before)
        shown += numbers(take(open_data(folder), 12 - 2 * position["a"] + 2, position))
        assert set(shown) == set(range(24))


def test_a_resumed_run_begins_at_the_boundary_of_a_shard(tmp_path: Path):
    folder = make_set(tmp_path, "a", 6)
    position = take(open_data(folder), 9)[-1][1]
    assert 2 <= position["a"] <= 4
    again = [numbers(take(open_data(folder), 5, position)) for _ in range(2)]
    assert again[0] == again[1]


def test_the_position_counts_the_shards_of_all_processes(tmp_path: Path):
    folder = make_set(tmp_path, "a", 8)
    position = take(open_data(folder, rank=1, world_size=2, buffer=1), 5)[-1][1]
    # Ten pictures are two and a half shards, and as many of the other process.
    assert position == {"a": 4}


def test_a_source_that_joins_begins_with_its_first_shard(tmp_path: Path):
    one, other = make_set(tmp_path, "a", 4), make_set(tmp_path, "b", 4)
    _, position = take(open_data(one, other), 1, {"a": 3})[0]
    assert position == {"a": 3, "b": 0}


def test_a_position_of_other_data_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="its position names 'sample'"):
        take(open_data(make_set(tmp_path, "a", 1)), 1, {"sample": 8})


def test_shards_are_read_over_http_and_a_cut_one_is_listed(tmp_path: Path):
    folder = make_set(tmp_path, "a", 1)
    with serve(folder) as address:
        assert set(numbers(take(open_data(f"{address}/000.tar"), 6))) == {0, 1, 2, 3}
    with serve(folder, cut_after=3000) as address:
        data = open_data(f"{address}/000.tar")
        assert set(numbers(take(data, 6))) <= {0, 1, 2, 3}
    (skip,) = data.skipped.listed
    assert skip.name == f"{address}/000.tar"


def test_a_failure_is_one_line(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.tar").write_bytes(b"")
    with pytest.raises(PictureError) as raised:
        take(open_data(tmp_path / "a"), 1)
    assert "\n" not in str(raised.value)


def test_for_evaluation_crops_are_centred(tmp_path: Path):
    data = open_data(make_set(tmp_path, "a", 2), batch_size=8, buffer=1).for_evaluation()
    one, again = (take(data, 1)[0][0] for _ in range(2))
    assert torch.equal(one, again)
    assert sorted(numbers_of([one])) == list(range(8))
