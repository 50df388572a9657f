import math
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from picture_folders import SIDE, number_of, write_shard

from dcae_export.errors import ConfigError, PictureError
from dcae_export.pictures.crops import TrainingCrop
from dcae_export.training.data import mixture as module
from dcae_export.training.data import shard_stream
from dcae_export.training.data.loading import to_batch
from dcae_export.training.data.mixture import Mixture, MixtureSettings
from dcae_export.training.data.shard_files import LocalShard
from dcae_export.training.data.shard_stream import Reader, ShardOrder, ShardSource, ShardStream

CROP = TrainingCrop(size=SIDE, min_area=0.5)
ALONE = Reader(index=0, count=1)


def source(
    folder: Path, name: str, sizes: list[int], *, first: int = 0, weight: float = 1
) -> ShardSource:
    """Shards of plain pictures that are numbered from ``first`` on; a shard's number is its hundreds."""
    shards = tuple(
        LocalShard(
            path=write_shard(
                folder / name / f"{shard:02d}.tar",
                range(first + 100 * shard, first + 100 * shard + size),
            )
        )
        for shard, size in enumerate(sizes)
    )
    return ShardSource(name=name, shards=shards, weight=weight)


def stream(
    of: ShardSource, *, reader: Reader = ALONE, start: int = 0, capacity: int = 4, seed: int = 0
) -> ShardStream:
    return ShardStream(
        ShardOrder(of, seed=seed),
        reader=reader,
        start=start,
        capacity=capacity,
        min_side=1,
        report=[].append,
    )


def drawn(of: ShardStream, count: int, seed: int = 0) -> list[int]:
    generator = np.random.default_rng(seed)
    names = [of.draw(generator).name for _ in range(count)]
    return [int(Path(name).stem) for name in names]


def test_an_order_is_one_permutation_after_another(tmp_path: Path):
    of = source(tmp_path, "a", [1] * 6)
    order = ShardOrder(of, seed=0)
    epochs = [tuple(order.at(6 * epoch + place) for place in range(6)) for epoch in range(3)]
    assert [set(epoch) for epoch in epochs] == [set(of.shards)] * 3
    assert len(set(epochs)) == 3
    assert [order.at(place) for place in range(6)] == list(epochs[0])


def test_orders_differ_by_name_and_seed(tmp_path: Path):
    one, other = source(tmp_path, "a", [1] * 6), source(tmp_path, "b", [1] * 6)
    orders = [ShardOrder(of, seed=seed) for of, seed in ((one, 0), (one, 1), (other, 0))]
    places = {tuple(str(order.at(place))[-6:] for place in range(12)) for order in orders}
    assert len(places) == 3


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_readers_share_the_shards_of_an_epoch_without_overlap(tmp_path: Path, count: int):
    of = source(tmp_path, "a", [3] * 12)
    together: list[int] = []
    for index in range(count):
        reader = stream(of, reader=Reader(index=index, count=count), capacity=1)
        together += drawn(reader, 36 // count)
    assert sorted(together) == sorted(100 * shard + n for shard in range(12) for n in range(3))


def test_more_readers_than_shards_all_have_pictures(tmp_path: Path):
    of = source(tmp_path, "a", [2, 2])
    for index in range(5):
        assert len(drawn(stream(of, reader=Reader(index=index, count=5)), 8)) == 8


def test_pictures_of_several_shards_are_mixed(tmp_path: Path):
    of = source(tmp_path, "a", [10] * 4)
    shards = [number // 100 for number in drawn(stream(of, capacity=25), 15)]
    assert len(set(shards)) >= 2
    assert shards != sorted(shards)


def test_a_round_is_done_when_no_picture_of_it_is_left(tmp_path: Path):
    of = source(tmp_path, "a", [5] * 4)
    reader = stream(of, capacity=7)
    generator = np.random.default_rng(1)
    order = [int(Path(str(reader._order.at(place))).stem) for place in range(40)]
    left = Counter(dict.fromkeys(range(40), 5))
    place_of = {shard: iter([p for p in range(40) if order[p] == shard]) for shard in set(order)}
    current = {shard: next(places) for shard, places in place_of.items()}
    for _ in range(60):
        shard = int(Path(reader.draw(generator).name).stem) // 100
        if left[current[shard]] == 0:
            current[shard] = next(place_of[shard])
        left[current[shard]] -= 1
        done = reader.rounds
        assert all(left[place] == 0 for place in range(done))
    assert reader.rounds >= 3


def test_a_stream_that_starts_later_begins_with_that_shard(tmp_path: Path):
    of = source(tmp_path, "a", [3] * 5)
    order = ShardOrder(of, seed=0)
    expected = [int(Path(str(order.at(place))).stem) for place in (7, 8)]
    shards = [number // 100 for number in drawn(stream(of, start=7, capacity=1), 6)]
    assert shards == [expected[0]] * 3 + [expected[1]] * 3


def test_large_pictures_wait_in_smaller_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    of = source(tmp_path, "a", [50])
    monkeypatch.setattr(shard_stream, "_MAX_WAITING_BYTES", 500)
    reader = stream(of, capacity=40)
    drawn(reader, 1)
    assert 1 <= len(reader._waiting) < 20


def test_a_source_that_gives_no_picture_is_one_line(tmp_path: Path):
    shards: list[LocalShard] = []
    for number in range(3):
        (tmp_path / f"{number}.tar").write_bytes(b"no archive")
        shards.append(LocalShard(path=tmp_path / f"{number}.tar"))
    of = ShardSource(name="sam", shards=tuple(shards), weight=1)
    with pytest.raises(PictureError, match="source sam: 3 shards in a row gave no picture"):
        drawn(stream(of), 1)


def test_one_sound_shard_among_damaged_ones_is_enough(tmp_path: Path):
    of = source(tmp_path, "a", [2] * 6)
    for shard in of.shards[1:]:
        assert isinstance(shard, LocalShard)
        shard.path.write_bytes(b"no archive")
    for index in range(3):
        assert set(drawn(stream(of, reader=Reader(index=index, count=3)), 8)) == {0, 1}


def test_many_fruitless_shards_in_a_row_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shard_stream, "_MAX_FRUITLESS", 4)
    of = source(tmp_path, "a", [2] * 20)
    for shard in of.shards[1:]:
        assert isinstance(shard, LocalShard)
        shard.path.unlink()
    with pytest.raises(PictureError, match="source a: 4 shards in a row gave no picture"):
        drawn(stream(of), 40)


def mixture(*sources: ShardSource, seed: int = 0, reader: Reader = ALONE) -> Mixture:
    settings = MixtureSettings(sources=sources, crop=CROP, seed=seed, shuffle_buffer=4)
    return Mixture(settings, reader=reader, starts={of.name: 0 for of in sources})


def numbers(of: Mixture, count: int) -> list[int]:
    return [number_of(to_batch([of.draw()])[0]) for _ in range(count)]


def test_sources_are_mixed_by_their_weights(tmp_path: Path):
    few = source(tmp_path, "few", [2], first=0, weight=1)
    many = source(tmp_path, "many", [5] * 5, first=1000, weight=3)
    shares = np.array(numbers(mixture(few, many), 800)) >= 1000
    # Five standard deviations of 800 draws with a chance of 3/4.
    assert abs(shares.mean() - 0.75) <= 5 * math.sqrt(0.75 * 0.25 / 800)


def test_equal_readers_see_the_same_and_others_do_not(tmp_path: Path):
    of = source(tmp_path, "a", [6] * 6)
    one, again = (numbers(mixture(of, reader=Reader(index=0, count=2)), 20) for _ in range(2))
    other = numbers(mixture(of, reader=Reader(index=1, count=2)), 20)
    assert one == again
    assert one != other


def test_readers_of_one_shard_draw_from_it_in_orders_of_their_own(tmp_path: Path):
    of = source(tmp_path, "a", [6])
    orders = {
        tuple(numbers(mixture(of, reader=Reader(index=index, count=3)), 12)) for index in range(3)
    }
    assert len(orders) == 3


def test_a_picture_that_cannot_be_decoded_is_skipped_and_named_once(tmp_path: Path):
    of = source(tmp_path, "a", [4])
    (shard,) = of.shards
    assert isinstance(shard, LocalShard)
    damaged = bytearray(shard.path.read_bytes())
    # Good checksums around pixels that zlib cannot read.
    start = damaged.index(b"IDAT")
    (length,) = struct.unpack(">I", damaged[start - 4 : start])
    damaged[start + 8] ^= 0xFF
    damaged[start + 4 + length : start + 8 + length] = struct.pack(
        ">I", zlib.crc32(damaged[start : start + 4 + length])
    )
    shard.path.write_bytes(damaged)
    mixed = mixture(of)
    assert set(numbers(mixed, 12)) == {1, 2, 3}
    names = {skip.name for skip in mixed.take_skipped()}
    assert names == {f"{shard}/000000.png"}
    assert mixed.take_skipped() == ()


def test_a_source_of_which_nothing_can_be_decoded_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_FAILURES_IN_A_ROW", 5)

    def damaged(data: bytes, *, name: str) -> None:
        raise PictureError(f"{name}: damaged")

    monkeypatch.setattr(module, "decode_picture", damaged)
    with pytest.raises(PictureError, match="source a: 5 pictures in a row cannot be decoded"):
        mixture(source(tmp_path, "a", [4])).draw()


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_a_weight_that_is_not_positive_is_a_config_error(weight: float):
    with pytest.raises(ConfigError, match="source a: a weight is positive"):
        ShardSource(name="a", shards=(LocalShard(path=Path("a.tar")),), weight=weight)


def test_impossible_mixtures_are_config_errors(tmp_path: Path):
    of = source(tmp_path, "a", [1])
    with pytest.raises(ConfigError, match="source a: has no shards"):
        ShardSource(name="a", shards=(), weight=1)
    with pytest.raises(ConfigError, match="at least one source"):
        MixtureSettings(sources=(), crop=CROP, seed=0)
    with pytest.raises(ConfigError, match="each source once, not a, a"):
        MixtureSettings(sources=(of, of), crop=CROP, seed=0)
    with pytest.raises(ConfigError, match="at least 1 picture"):
        MixtureSettings(sources=(of,), crop=CROP, seed=0, shuffle_buffer=0)
