from pathlib import Path

import pytest
from file_server import serve

from dcae_export.errors import InputError, RefusedError, UsageError
from dcae_export.training.data import shard_files
from dcae_export.training.data.shard_files import LocalShard, WebShard, find_shards, open_shard


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_folder_is_its_tar_files_by_name(tmp_path: Path):
    folder = touch(tmp_path / "set", "b.tar", "a.tar", "list.txt", "c.tar.gz")
    assert [str(shard) for shard in find_shards(str(folder))] == [
        str(folder / "a.tar"),
        str(folder / "b.tar"),
    ]


def test_ranges_in_braces_name_many_files(tmp_path: Path):
    names = ("x-08-1.tar", "x-08-2.tar", "x-09-1.tar", "x-09-2.tar", "x-10-1.tar", "x-10-2.tar")
    folder = touch(tmp_path / "set", *names)
    shards = find_shards(f"{folder}/x-{{08..10}}-{{1..2}}.tar")
    assert shards == tuple(LocalShard(path=folder / name) for name in names)


def test_an_address_is_taken_as_it_is_and_shown_without_its_secrets():
    secret = "me:word"
    shards = find_shards(f"https://{secret}@sets.example/a/x-{{0..1}}.tar?signature=abc")
    assert [shard.url for shard in shards if isinstance(shard, WebShard)] == [
        f"https://{secret}@sets.example/a/x-0.tar?signature=abc",
        f"https://{secret}@sets.example/a/x-1.tar?signature=abc",
    ]
    assert str(shards[1]) == "https://sets.example/a/x-1.tar"


@pytest.mark.parametrize(
    "pattern", ["pipe:cat x.tar", "PIPE:cat x.tar", "pipe:cat x-{0..1}.tar", "pipe:"]
)
def test_a_command_is_refused(pattern: str):
    with pytest.raises(RefusedError, match="never read from commands"):
        find_shards(pattern)


@pytest.mark.parametrize(
    "pattern", ["gs://bucket/x.tar", "file:///x.tar", "s3://b/x.tar", "hf://datasets/x.tar"]
)
def test_another_scheme_is_a_usage_error(pattern: str):
    with pytest.raises(UsageError, match="is not read; give a path, http: or https:"):
        find_shards(pattern)


def test_what_is_not_there_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match="no such shard"):
        find_shards(str(tmp_path / "x-{0..3}.tar"))
    with pytest.raises(InputError, match=r"holds no \.tar files"):
        find_shards(str(tmp_path))


@pytest.mark.parametrize("pattern", ["x-{0..9.tar", "x-{a..c}.tar", "{x,y}.tar", "{0..1}{}.tar"])
def test_braces_without_a_range_are_a_usage_error(pattern: str):
    with pytest.raises(UsageError, match=r"braces without a range; write \{000\.\.123\}"):
        find_shards(pattern)


def test_a_range_of_too_many_shards_is_a_usage_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard_files, "MAX_SHARDS", 1000)
    with pytest.raises(UsageError, match="more than 1000 shards"):
        find_shards("https://sets.example/x-{0..99999999}.tar")


def test_a_local_shard_is_opened_for_reading(tmp_path: Path):
    (shard,) = find_shards(str(touch(tmp_path, "a.tar") / "a.tar"))
    with open_shard(shard) as stream:
        assert stream.read() == b"a.tar"


def test_a_shard_is_read_over_http(tmp_path: Path):
    folder = touch(tmp_path / "set", "a.tar")
    with serve(folder) as address, open_shard(WebShard(url=f"{address}/a.tar")) as stream:
        assert stream.read() == b"a.tar"


def test_a_server_that_is_busy_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []
    monkeypatch.setattr(shard_files.time, "sleep", pauses.append)
    folder = touch(tmp_path / "set", "a.tar")
    with serve(folder, busy=2) as address, open_shard(WebShard(url=f"{address}/a.tar")) as stream:
        assert stream.read() == b"a.tar"
    assert pauses == [1.0, 10.0]
    with serve(folder, busy=9) as address, pytest.raises(OSError, match="503"):
        open_shard(WebShard(url=f"{address}/a.tar"))


def test_a_server_that_is_gone_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []
    monkeypatch.setattr(shard_files.time, "sleep", pauses.append)
    with serve(tmp_path) as address:
        pass
    with pytest.raises(OSError, match="refused"):
        open_shard(WebShard(url=f"{address}/a.tar"))
    assert len(pauses) == 3


def test_a_file_that_the_server_does_not_have_is_asked_for_once(tmp_path: Path):
    with serve(tmp_path) as address, pytest.raises(OSError, match="404"):
        open_shard(WebShard(url=f"{address}/missing.tar"))


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x.tar"])
def test_an_answer_that_leads_off_the_web_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
):
    monkeypatch.setattr(shard_files, "_RETRIES_AFTER_S", ())
    refusal = "unknown url type|not allowed"
    with serve(tmp_path, redirect_to=target) as address, pytest.raises(OSError, match=refusal):
        open_shard(WebShard(url=f"{address}/redirected"))
