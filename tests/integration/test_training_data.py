"""Training data through worker processes."""

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from crafted_pictures import encode
from picture_folders import SIDE, numbers_of, plain_png, take, write_shard
from torch import Tensor
from torch.utils.data import get_worker_info

from dcae_export.errors import PictureError, ResourceError
from dcae_export.pictures import usable_picture
from dcae_export.pictures.crops import TrainingCrop
from dcae_export.training.data.image_folder import ImageFolderData
from dcae_export.training.data.loading import Loading
from dcae_export.training.data.mixture import MixtureSettings
from dcae_export.training.data.shard_files import find_shards
from dcae_export.training.data.shard_stream import ShardSource
from dcae_export.training.data.shards import ShardData

pytestmark = [
    pytest.mark.integration,
    # The point is the number of workers, not their speed on a machine of two cores.
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

CROP = TrainingCrop(size=SIDE, min_area=0.3)
WORKERS = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven pictures of noise, one of them damaged."""
    folder = tmp_path_factory.mktemp("noise")
    for number in range(11):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 31, 3), np.uint8)
        (folder / f"{number:02d}.png").write_bytes(encode(pixels, ".png"))
    damaged = folder / "04.png"
    damaged.write_bytes(damaged.read_bytes()[:-12])
    return folder


def open_folder(
    folder: Path, *, workers: int, batch_size: int = 3, rank: int = 0, world_size: int = 1
) -> ImageFolderData:
    loading = Loading(batch_size=batch_size, workers=workers, rank=rank, world_size=world_size)
    return ImageFolderData.open(folder, crop=CROP, loading=loading, seed=5)


def open_shards(folder: Path, *, workers: int, rank: int = 0, world_size: int = 1) -> ShardData:
    source = ShardSource(name="a", shards=find_shards(str(folder)), weight=1)
    settings = MixtureSettings(sources=(source,), crop=CROP, seed=0, shuffle_buffer=1)
    loading = Loading(batch_size=2, workers=workers, rank=rank, world_size=world_size)
    return ShardData(settings, loading=loading)


def assert_equal(
    first: list[tuple[Tensor, dict[str, int]]], second: list[tuple[Tensor, dict[str, int]]]
) -> None:
    for (batch, after), (expected, expected_after) in zip(first, second, strict=True):
        assert torch.equal(batch, expected)
        assert after == expected_after


def test_workers_change_nothing(folder: Path):
    alone = open_folder(folder, workers=0)
    expected = take(alone, 12)
    for workers in WORKERS[1:]:
        data = open_folder(folder, workers=workers)
        assert_equal(take(data, 12), expected)
        assert [skip.name for skip in data.skipped.listed] == ["04.png"]
        assert len(data.skipped) == len(alone.skipped) == 1


@pytest.mark.parametrize("done", [1, 5, 9])
def test_a_run_is_resumed_with_workers_bit_for_bit(folder: Path, done: int):
    expected = take(open_folder(folder, workers=0), done + 5)
    rest = take(open_folder(folder, workers=2), 5, expected[done - 1][1])
    assert_equal(rest, expected[done:])


def test_two_processes_with_workers_see_what_one_sees(folder: Path):
    alone = take(open_folder(folder, workers=0, batch_size=4), 6)
    ranks = [
        take(open_folder(folder, workers=2, batch_size=2, rank=rank, world_size=2), 6)
        for rank in (0, 1)
    ]
    for (expected, position), *parts in zip(alone, *ranks, strict=True):
        assert torch.equal(torch.cat([batch for batch, _ in parts]), expected)
        assert {after["sample"] for _, after in parts} == {position["sample"]}


def test_loading_with_workers_moves_no_generator_of_torch(folder: Path):
    before = torch.get_rng_state()
    take(open_folder(folder, workers=2), 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_failure_in_a_worker_is_one_line(folder: Path, tmp_path: Path):
    moved = tmp_path / "noise"
    moved.mkdir()
    (moved / "0.png").write_bytes(plain_png(0))
    data = open_folder(moved, workers=1)
    (moved / "0.png").unlink()
    with pytest.raises(PictureError) as raised:
        take(data, 1)
    assert "\n" not in str(raised.value)
    assert "1 pictures in a row cannot be read" in str(raised.value)


def test_a_worker_that_is_killed_is_a_resource_error(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def die(path: Path) -> None:
        assert get_worker_info() is not None
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(usable_picture, "read_picture", die)
    with pytest.raises(ResourceError, match="a process that reads pictures was killed; use fewer"):
        take(open_folder(folder, workers=1), 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no groups of processes")
def test_a_signal_for_the_whole_group_leaves_the_workers_to_the_main_process(folder: Path):
    batches = open_folder(folder, workers=2).batches({})
    # One of each: a worker that has read is one that has begun.
    for _ in range(2):
        next(batches)
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    for worker in workers:
        assert worker.pid is not None
        assert os.getpgid(worker.pid) != os.getpgrp()
        os.kill(worker.pid, signal.SIGINT)
    for _ in range(8):
        next(batches)
    assert all(worker.is_alive() for worker in workers)


def test_a_fault_of_ours_in_a_worker_is_not_hidden(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(path: Path) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(usable_picture, "read_picture", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        take(open_folder(folder, workers=1), 1)


def test_workers_stop_with_the_stream(folder: Path):
    # The first worker of a process brings the tracker of Python's shared memory, which stays.
    take(open_folder(folder, workers=1), 1)
    before = set(psutil.Process().children())
    batches = open_folder(folder, workers=2).batches({})
    next(batches)
    workers = set(psutil.Process().children()) - before
    assert len(workers) == 2
    batches.close()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("world_size", [1, 2])
def test_workers_of_all_processes_share_an_epoch_of_shards(
    tmp_path: Path, workers: int, world_size: int
):
    num_readers = max(1, workers) * world_size
    for shard in range(2 * num_readers):
        write_shard(tmp_path / f"{shard:02d}.tar", range(4 * shard, 4 * shard + 4))
    shown: list[int] = []
    for rank in range(world_size):
        data = open_shards(tmp_path, workers=workers, rank=rank, world_size=world_size)
        # Eight pictures of each reader in batches of two.
        shown += numbers_of(batch for batch, _ in take(data, 4 * max(1, workers)))
    assert sorted(shown) == list(range(8 * num_readers))


def test_a_run_on_shards_goes_on_at_the_boundary_of_a_shard(tmp_path: Path):
    for shard in range(8):
        write_shard(tmp_path / f"{shard:02d}.tar", range(4 * shard, 4 * shard + 4))
    before = take(open_shards(tmp_path, workers=2), 7)
    # The workers take turns: the second has shown more than its first shard with the sixth batch.
    assert [after["a"] for _, after in before] == [0, 0, 0, 0, 0, 2, 2]
    position = before[-1][1]
    rest = [numbers_of(b for b, _ in take(open_shards(tmp_path, workers=2), 12, position))]
    rest += [numbers_of(b for b, _ in take(open_shards(tmp_path, workers=2), 12, position))]
    assert rest[0] == rest[1]
    assert set(rest[0]) | set(numbers_of(b for b, _ in before)) == set(range(32))


def test_a_damaged_shard_is_reported_by_the_worker_that_met_it(tmp_path: Path):
    for shard in range(4):
        write_shard(tmp_path / f"{shard:02d}.tar", range(4 * shard, 4 * shard + 4))
    (tmp_path / "02.tar").write_bytes((tmp_path / "02.tar").read_bytes()[:1800])
    data = open_shards(tmp_path, workers=2)
    take(data, 20)
    assert [skip.name for skip in data.skipped.listed] == [str(tmp_path / "02.tar")]
