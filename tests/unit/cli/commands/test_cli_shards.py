import json
from pathlib import Path

from picture_folders import fill, plain_png


def test_a_folder_becomes_shards(dcae, tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(7))
    result = dcae("shards", folder, "--out", tmp_path / "out")
    assert result.status == 0
    assert result.out == f"{tmp_path / 'out'}: 7 pictures in 1 shards\n"
    assert result.err == ""
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shard-000000.tar"]


def test_the_size_of_shards_is_in_megabytes(dcae, tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(2))
    # A PNG may hold what it likes after its end.
    for path in folder.rglob("*.png"):
        path.write_bytes(path.read_bytes() + bytes(700_000))
    result = dcae("shards", folder, "--out", tmp_path / "out", "--size-mb", "1")
    assert "2 pictures in 2 shards" in result.out


def test_what_is_left_out_is_named_and_listed_as_json(dcae, tmp_path: Path):
    folder = fill(tmp_path / "pictures", range(2))
    (folder / "cut.png").write_bytes(plain_png(2)[:-12])
    result = dcae("shards", folder, "--out", tmp_path / "out")
    assert result.status == 0
    assert "left out: 1 unreadable; the first, cut.png: the PNG is truncated" in result.err
    result = dcae("shards", folder, "--out", tmp_path / "other", "--json")
    content = json.loads(result.out)
    assert content["num_skipped"] == 1
    assert content["pictures"] == 2
    assert [skip["name"] for skip in content["skipped"]] == ["cut.png"]


def test_a_folder_that_is_not_there_and_a_target_that_is_are_one_line(dcae, tmp_path: Path):
    result = dcae("shards", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert result.status == 3
    assert result.err.count("\n") == 1
    result = dcae("shards", fill(tmp_path / "pictures", range(1)), "--out", tmp_path)
    assert result.status == 3
    assert "exists already" in result.err
