import ctypes
import errno
import os
from pathlib import Path

import pytest
from bundle_factory import write_tiny_bundle

from dcae_export.bundle.reader import Bundle
from dcae_export.bundle.writer import BundleWriter
from dcae_export.files import folder_swap
from dcae_export.files.folder_swap import put_in_place, recover


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A target named "bundle" that holds "old", and a staging folder that holds "new"."""
    target, staging = tmp_path / "bundle", tmp_path / ".bundle.staging-0123abcd"
    for folder, content in ((target, "old"), (staging, "new")):
        folder.mkdir()
        (folder / content).touch()
    return target, staging


def _content(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _answer(code: int):
    def renameat2(*_: object) -> int:
        ctypes.set_errno(code)
        return -1

    return lambda *_args, **_kwargs: type("Library", (), {"renameat2": staticmethod(renameat2)})()


def test_the_old_folder_stands_at_the_staging_name_afterwards(folders: tuple[Path, Path]) -> None:
    target, staging = folders
    put_in_place(staging, target)
    assert (_content(target), _content(staging)) == (["new"], ["old"])


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EPERM])
def test_a_system_without_exchange_renames_twice(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", _answer(code))
    target, staging = folders
    put_in_place(staging, target)
    assert (_content(target), _content(staging)) == (["new"], ["old"])
    assert not folder_swap.previous_path(target).exists()


def test_a_library_without_the_call_renames_twice(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_kwargs: object())
    target, staging = folders
    put_in_place(staging, target)
    assert (_content(target), _content(staging)) == (["new"], ["old"])


def test_another_failure_of_the_exchange_is_told_and_changes_nothing(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", _answer(errno.EACCES))
    target, staging = folders
    with pytest.raises(PermissionError):
        put_in_place(staging, target)
    assert (_content(target), _content(staging)) == (["old"], ["new"])


def test_a_second_rename_that_fails_puts_the_old_folder_back(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_swap, "_exchange", lambda *_: False)
    target, staging = folders
    rename = os.rename

    def fail_for_staging(source: Path, to: Path) -> None:
        if Path(source) == staging:
            raise PermissionError(errno.EACCES, "held open")
        rename(source, to)

    monkeypatch.setattr(os, "rename", fail_for_staging)
    with pytest.raises(PermissionError):
        put_in_place(staging, target)
    assert (_content(target), _content(staging)) == (["old"], ["new"])


def test_a_kill_between_the_renames_is_recovered_by_moving_back(
    folders: tuple[Path, Path],
) -> None:
    target, staging = folders
    target.rename(folder_swap.previous_path(target))
    recover(target, target.with_name("discard"))
    assert (_content(target), _content(staging)) == (["old"], ["new"])


def test_a_kill_after_the_renames_is_recovered_by_discarding(folders: tuple[Path, Path]) -> None:
    target, staging = folders
    target.rename(folder_swap.previous_path(target))
    staging.rename(target)
    recover(target, target.with_name("discard"))
    assert (_content(target), _content(target.with_name("discard"))) == (["new"], ["old"])


def test_a_link_at_the_previous_name_is_left_alone(folders: tuple[Path, Path]) -> None:
    target, _ = folders
    folder_swap.previous_path(target).symlink_to(target.rename(target.with_name("elsewhere")))
    recover(target, target.with_name("discard"))
    assert not target.exists()


def test_the_next_writer_recovers_a_bundle_and_clears_up(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    bundle.rename(folder_swap.previous_path(bundle))
    (tmp_path / ".bundle.staging-0123abcd").mkdir()
    with BundleWriter(bundle, force=True):
        Bundle.open(bundle).verify()
    assert {path.name for path in tmp_path.iterdir()} <= {"bundle", ".bundle.lock"}


def test_the_next_writer_removes_a_previous_bundle_that_was_replaced(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    write_tiny_bundle(tmp_path / "old").rename(folder_swap.previous_path(bundle))
    with BundleWriter(bundle, force=True):
        assert not folder_swap.previous_path(bundle).exists()
    Bundle.open(bundle).verify()
