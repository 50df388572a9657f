"""Shards that try to run something, to fill the memory, or to lose pictures without a word."""

import gzip
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from picture_folders import plain_png, tar

from dcae_export.training.data.shard_files import LocalShard
from dcae_export.training.data.shard_stream import Reader, ShardOrder, ShardSource, ShardStream
from dcae_export.training.data.tar_pictures import EncodedPicture, tar_pictures

MEMBERS = [(f"{number}.png", plain_png(number)) for number in range(4)]
SHARD = tar(MEMBERS)
# What tarfile, the HTTP client and the file system raise, and the stream catches.
EXPECTED = (tarfile.TarError, OSError, ValueError)


def read(data: bytes) -> list[EncodedPicture]:
    return list(tar_pictures(io.BytesIO(data), "s.tar", min_side=1, report=[].append))


class _Runs:
    def __init__(self, witness: Path) -> None:
        self._witness = witness

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._witness,)


@pytest.mark.parametrize("extension", ["pyd", "pickle", "pkl", "pth", "npy", "png", "jpg"])
def test_nothing_in_a_shard_is_unpickled(tmp_path: Path, extension: str):
    witness = tmp_path / "witness"
    malicious = pickle.dumps(_Runs(witness))
    pictures = read(tar([(f"0.{extension}", malicious), ("1.png", plain_png(1))]))
    assert [picture.name for picture in pictures] == ["s.tar/1.png"]
    assert not witness.exists()


@pytest.mark.parametrize("blocks", [1, 2, 3, 5])
def test_a_truncated_shard_is_an_error(blocks: int):
    with pytest.raises(tarfile.TarError):
        read(SHARD[: tarfile.BLOCKSIZE * blocks])


def test_a_shard_without_its_end_is_an_error():
    with pytest.raises(tarfile.TarError, match="truncated"):
        read(SHARD.rstrip(b"\0") + bytes(-len(SHARD.rstrip(b"\0")) % tarfile.BLOCKSIZE))


def test_damage_in_the_middle_is_not_taken_for_the_end():
    damaged = bytearray(SHARD)
    second = SHARD.index(b"1.png")
    damaged[second + 148 : second + 156] = b"0000000\0"
    with pytest.raises(tarfile.TarError, match="damaged"):
        read(bytes(damaged))


def test_a_compressed_shard_is_no_shard():
    with pytest.raises(tarfile.TarError, match="no uncompressed tar"):
        read(gzip.compress(SHARD))


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_a_header_that_would_fill_the_memory_is_an_error(kind: bytes):
    header = tarfile.TarInfo("long")
    header.type = kind
    header.size = 2**40
    with pytest.raises(tarfile.TarError, match="more than a megabyte"):
        read(header.tobuf(tarfile.GNU_FORMAT) + SHARD)


@pytest.mark.parametrize("size", [-1, -512, -(2**40)])
def test_a_file_of_negative_size_is_an_error(size: int):
    header = tarfile.TarInfo("0.png")
    header.size = size
    with pytest.raises(tarfile.TarError):
        read(SHARD[:-10240] + header.tobuf(tarfile.GNU_FORMAT) + SHARD)


def test_a_negative_size_in_an_extended_header_is_an_error():
    header = tarfile.TarInfo("0.png")
    header.pax_headers = {"size": "-1024"}
    with pytest.raises(tarfile.TarError):
        read(header.tobuf(tarfile.PAX_FORMAT) + SHARD)


@settings(max_examples=150, deadline=None)
@given(
    flips=st.dictionaries(st.integers(0, len(SHARD) - 1), st.integers(1, 255), max_size=4),
    cut=st.integers(0, len(SHARD)),
)
@example(flips={}, cut=0)
def test_a_damaged_shard_gives_its_own_pictures_or_an_expected_error(
    flips: dict[int, int], cut: int
):
    damaged = bytes(byte ^ flips.get(at, 0) for at, byte in enumerate(SHARD))[:cut]
    try:
        pictures = read(damaged)
    except EXPECTED:
        return
    assert len(pictures) <= len(MEMBERS)
    # Nothing is lost without a word, unless a name became one of no picture.
    if not flips:
        assert len(pictures) == len(MEMBERS)


def test_a_shard_that_is_a_device_or_gone_is_skipped_and_named(tmp_path: Path):
    paths = [tmp_path / name for name in ("good.tar", "gone.tar", "bad.tar")]
    paths[0].write_bytes(SHARD)
    paths[2].write_bytes(SHARD[:1500])
    shards = (*(LocalShard(path=path) for path in paths), LocalShard(path=Path("/dev/zero")))
    source = ShardSource(name="set", shards=shards, weight=1)
    skips = []
    stream = ShardStream(
        ShardOrder(source, seed=0),
        reader=Reader(index=0, count=1),
        start=0,
        capacity=16,
        min_side=1,
        report=skips.append,
    )
    generator = np.random.default_rng(0)
    names = {stream.draw(generator).name for _ in range(40)}
    assert names >= {f"{paths[0]}/{number}" for number, _ in MEMBERS}
    assert {skip.name for skip in skips} == {str(paths[1]), str(paths[2]), "/dev/zero"}
    details = {skip.name: skip.detail for skip in skips}
    assert details[str(paths[1])] == "No such file or directory"
    assert "not a regular file" in details["/dev/zero"]
