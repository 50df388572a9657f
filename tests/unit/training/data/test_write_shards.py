import errno
from itertools import islice
from pathlib import Path

import pytest
from picture_folders import SIDE, fill, numbers_of, plain_png

from dcae_export.errors import InputError, PictureError, ResourceError
from dcae_export.pictures.crops import TrainingCrop
from dcae_export.training.data import write_shards as module
from dcae_export.training.data.loading import Loading
from dcae_export.training.data.mixture import MixtureSettings
from dcae_export.training.data.shard_files import find_shards
from dcae_export.training.data.shard_stream import ShardSource
from dcae_export.training.data.shards import ShardData
from dcae_export.training.data.write_shards import write_shards

# A header and one block of pixels each, and less than the end of an archive.
MAX_BYTES = 4 * 1024


def test_what_is_written_is_read_back(tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(18))
    calls: list[tuple[int, int]] = []
    written = write_shards(
        folder,
        tmp_path / "sets" / "mine",
        max_bytes=MAX_BYTES,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    assert (written.num_shards, written.num_pictures, len(written.skipped)) == (5, 18, 0)
    assert calls[-1] == (18, 18)
    shards = find_shards(str(tmp_path / "sets" / "mine"))
    assert len(shards) == 5
    settings = MixtureSettings(
        sources=(ShardSource(name="mine", shards=shards, weight=1),),
        crop=TrainingCrop(size=SIDE, min_area=1),
        seed=0,
        shuffle_buffer=1,
    )
    data = ShardData(settings, loading=Loading(batch_size=6))
    shown = numbers_of(batch for batch, _ in islice(data.batches({}), 3))
    assert sorted(shown) == list(range(18))
    assert len(data.skipped) == 0


def test_pictures_of_one_class_are_spread(tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(20))
    write_shards(folder, tmp_path / "out", max_bytes=2**30)
    data = (tmp_path / "out" / "shard-000000.tar").read_bytes()
    numbers = sorted(range(20), key=lambda number: data.index(plain_png(number)))
    assert numbers[:10] != sorted(numbers[:10])
    assert 2 <= sum(number % 2 for number in numbers[:10]) <= 8


def test_equal_folders_give_equal_bytes(tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(9))
    written: list[list[bytes]] = []
    for name in ("one", "two"):
        write_shards(folder, tmp_path / name, max_bytes=MAX_BYTES)
        written.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert written[0] == written[1]


def test_small_pictures_are_taken_and_damaged_ones_listed(tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(3))
    (folder / "tiny.png").write_bytes(plain_png(3, (1, 2)))
    (folder / "cut.png").write_bytes(plain_png(4)[:-12])
    written = write_shards(folder, tmp_path / "out", max_bytes=2**30)
    assert written.num_pictures == 4
    assert [skip.name for skip in written.skipped.listed] == ["cut.png"]


def test_a_target_that_exists_is_kept(tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(3))
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="out: exists already"):
        write_shards(folder, tmp_path / "out", max_bytes=MAX_BYTES)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_rest_of_a_killed_writer_is_named(tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(3))
    (tmp_path / ".out.partial").mkdir()
    with pytest.raises(InputError, match=r"\.out\.partial: another process .* remove the folder"):
        write_shards(folder, tmp_path / "out", max_bytes=MAX_BYTES)
    assert (tmp_path / ".out.partial").exists()


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, ResourceError), (errno.EIO, InputError)])
def test_a_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
):
    def fail(_: Path) -> None:
        raise OSError(code, "refused")

    monkeypatch.setattr(module, "sync_folder", fail)
    folder = fill(tmp_path / "pictures", range(3))
    with pytest.raises(kind, match="out: cannot be written: refused"):
        write_shards(folder, tmp_path / "out", max_bytes=MAX_BYTES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]


def test_a_folder_of_damaged_pictures_gives_no_shards(tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cut.png").write_bytes(plain_png(4)[:-12])
    with pytest.raises(PictureError, match=r"no picture of it is whole \(1 unreadable\)"):
        write_shards(tmp_path / "pictures", tmp_path / "out", max_bytes=MAX_BYTES)
    assert not (tmp_path / "out").exists()
