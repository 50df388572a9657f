import threading
from pathlib import Path

import pytest
from bundle_factory import stage_tiny_files, tiny_manifest, write_tiny_bundle

from dcae_export.bundle.reader import Bundle
from dcae_export.bundle.writer import BundleWriter
from dcae_export.errors import BusyError


def test_a_second_writer_is_turned_away_at_once(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with BundleWriter(target) as first:
        with pytest.raises(BusyError, match="another process is writing it"):
            write_tiny_bundle(target)
        assert first.staging.is_dir()


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    target = write_tiny_bundle(tmp_path / "bundle")
    with pytest.raises(OSError, match="mine"), BundleWriter(target, force=True):
        raise OSError("mine")
    write_tiny_bundle(target, force=True)


def test_a_refused_writer_leaves_the_lock_free(tmp_path: Path) -> None:
    target = write_tiny_bundle(tmp_path / "bundle")
    with pytest.raises(Exception, match="exists"):
        write_tiny_bundle(target)
    write_tiny_bundle(target, force=True)


def test_writers_of_two_bundles_do_not_meet(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "a"):
        write_tiny_bundle(tmp_path / "b")


def test_a_waiting_writer_queues_behind_the_first(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    order: list[str] = []

    def second() -> None:
        with BundleWriter(target, force=True, wait=True) as writer:
            order.append("second")
            stage_tiny_files(writer.staging, seed=1)
            writer.commit(tiny_manifest(writer.file_records()))

    thread = threading.Thread(target=second)
    with BundleWriter(target) as writer:
        thread.start()
        thread.join(0.1)
        stage_tiny_files(writer.staging)
        writer.commit(tiny_manifest(writer.file_records()))
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    Bundle.open(target).verify()
