import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from latent_folders import PER_SHARD, empty_contents

from dcae_export.errors import InputError
from dcae_export.pictures.skipped import Skip, SkipReason
from dcae_export.training.latents.contents import (
    CONTENTS_NAME,
    LatentContents,
    ShardRecord,
    latent_bytes,
    read_contents,
    shard_name,
    write_contents,
)


def shard(number: int, count: int, *skips: Skip) -> ShardRecord:
    return ShardRecord(file=shard_name(number), count=count, sha256="2" * 64, skipped=skips)


def grown(contents: LatentContents, **changes: object) -> LatentContents:
    return LatentContents.model_validate(contents.model_dump() | changes)


SKIP = Skip.of("bee/ö\n.png", SkipReason.UNREADABLE, "the PNG is truncated")
WHOLE = grown(
    empty_contents(6, classes=("ä", "ö ö")),
    shards=(shard(0, 3, SKIP), shard(1, 2)),
    count=5,
    complete=True,
)


@pytest.mark.parametrize("contents", [WHOLE, empty_contents(1, classes=None)])
def test_contents_come_back_as_they_were(tmp_path: Path, contents: LatentContents):
    write_contents(tmp_path, contents)
    assert read_contents(tmp_path) == contents


def test_the_file_is_json_that_a_person_can_read(tmp_path: Path):
    write_contents(tmp_path, WHOLE)
    text = (tmp_path / CONTENTS_NAME).read_text(encoding="utf-8")
    assert text.count("\n") > 30
    content = json.loads(text)
    assert content["classes"] == ["ä", "ö ö"]
    assert content["shards"][0]["skipped"] == [
        {"name": r"bee/ö\n.png", "reason": "unreadable", "detail": "the PNG is truncated"}
    ]


@given(num_pictures=st.integers(1, 50))
def test_shards_share_out_the_pictures_in_their_order(num_pictures: int):
    contents = empty_contents(num_pictures)
    runs = [contents.numbers_of(number) for number in range(contents.num_shards)]
    assert [number for run in runs for number in run] == list(range(num_pictures))
    assert all(len(run) == PER_SHARD for run in runs[:-1])
    assert 1 <= len(runs[-1]) <= PER_SHARD


def test_pictures_are_done_where_their_shard_is_there():
    contents = empty_contents(6)
    assert contents.num_done == 0
    assert grown(contents, shards=(shard(0, 2),), count=2).num_done == 4
    assert WHOLE.num_done == 6


def test_a_latent_takes_four_bytes_a_number():
    assert latent_bytes((128, 8, 8)) == 32768


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"count": 4}, "count is not that of the shards"),
        ({"shards": (shard(0, 3), shard(1, 3)), "count": 6}, "more latents than pictures"),
        ({"shards": [shard(n, 0) for n in range(3)], "count": 0}, "more shards than its pictures"),
        ({"shards": (shard(0, 4),), "count": 4}, "complete, and pictures or latents are missing"),
        (
            {"shards": (shard(0, 0), shard(1, 0)), "count": 0},
            "complete, and pictures or latents are missing",
        ),
    ],
)
def test_contents_that_contradict_themselves_are_refused(changes: dict[str, object], fault: str):
    with pytest.raises(ValueError, match=fault):
        grown(WHOLE, **changes)


def test_a_newer_format_says_so_before_anything_else(tmp_path: Path):
    (tmp_path / CONTENTS_NAME).write_text('{"format_version": 2, "new": 1}')
    with pytest.raises(
        InputError, match=r"format_version 2 is newer than 1, .* update dcae-export"
    ):
        read_contents(tmp_path)


def test_an_unknown_key_is_named(tmp_path: Path):
    content = WHOLE.model_dump(mode="json") | {"comment": "mine"}
    (tmp_path / CONTENTS_NAME).write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"latents\.json: comment: unknown key$"):
        read_contents(tmp_path)
