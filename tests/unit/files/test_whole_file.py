import errno
import os
from pathlib import Path

import pytest

from dcae_export.errors import InputError, ResourceError
from dcae_export.files.whole_file import whole_file


def test_the_name_appears_with_the_whole_content(tmp_path):
    with whole_file(tmp_path / "a", force=False) as file:
        file.write(b"all of it")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"all of it"
    assert len(list(tmp_path.iterdir())) == 1


def write(path, content, *, force=False, meanwhile=lambda: None):
    with whole_file(path, force=force) as file:
        file.write(content)
        meanwhile()


def test_an_error_on_the_way_leaves_what_was_there(tmp_path):
    def fail():
        raise ZeroDivisionError

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "a", b"half", force=True, meanwhile=fail)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_force_replaces(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    write(tmp_path / "a", b"new", force=True)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_an_existing_target_is_kept(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(InputError, match="--force"), whole_file(tmp_path / "a", force=False):
        pytest.fail("opened")
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("has_links", [True, False])
def test_a_target_that_appears_meanwhile_is_kept(tmp_path, monkeypatch, has_links):
    def refuse(*args):
        raise OSError(errno.EPERM, "no hard links here")

    if not has_links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(InputError, match="--force"):
        write(
            tmp_path / "a",
            b"new",
            meanwhile=lambda: (tmp_path / "a").write_bytes(b"someone else's"),
        )
    assert (tmp_path / "a").read_bytes() == b"someone else's"


def test_a_file_system_without_hard_links_will_do(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, ResourceError), (errno.EIO, InputError)])
def test_a_failing_disk_is_an_error_of_ours(tmp_path, monkeypatch, code, kind):
    def fail(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind):
        write(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with (
        pytest.raises(InputError, match="cannot be written"),
        whole_file(tmp_path / "no" / "a", force=False),
    ):
        pytest.fail("opened")
