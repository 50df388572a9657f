import errno
import os
import shutil
from pathlib import Path

import onnx
import pytest
from bundle_factory import (
    edit_manifest,
    stage_tiny_files,
    tiny_manifest,
    write_tiny_bundle,
)
from onnx import helper

from dcae_export.bundle.reader import Bundle
from dcae_export.bundle.writer import BundleWriter
from dcae_export.errors import BundleError, RefusedError, ResourceError
from dcae_export.files import folder_swap


def _weights(bundle: Path) -> bytes:
    return (bundle / "decoder.onnx.data").read_bytes()


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(params=["exchange", "two renames"])
def any_swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test with it runs both ways of replacing a folder."""
    if request.param == "two renames":
        monkeypatch.setattr(folder_swap, "_exchange", lambda *_: False)


def test_a_new_bundle_leaves_nothing_beside_it_but_the_lock(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    assert _names(tmp_path) <= {"bundle", ".bundle.lock"}


def test_equal_files_give_an_equal_manifest(tmp_path: Path) -> None:
    first, second = (write_tiny_bundle(tmp_path / name) for name in "ab")
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()


def test_missing_parents_are_made(tmp_path: Path) -> None:
    Bundle.open(write_tiny_bundle(tmp_path / "a" / "b")).verify()


def test_the_folder_is_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    bundle = write_tiny_bundle(tmp_path / "bundle")
    assert bundle.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_existing_bundle_stays_without_force(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    with pytest.raises(BundleError, match="exists; --force replaces it"):
        write_tiny_bundle(bundle, seed=1)
    Bundle.open(bundle).verify()


@pytest.mark.usefixtures("any_swap")
def test_force_replaces_a_bundle_and_removes_the_old_one(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    old = _weights(bundle)
    write_tiny_bundle(bundle, seed=1, force=True)
    Bundle.open(bundle).verify()
    assert _weights(bundle) != old
    assert _names(tmp_path) <= {"bundle", ".bundle.lock"}


def test_a_bundle_of_a_newer_format_is_a_bundle_to_replace(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    edit_manifest(bundle, lambda content: content.update(format_version=9))
    write_tiny_bundle(bundle, force=True)
    Bundle.open(bundle).verify()


@pytest.mark.parametrize("manifest", [None, "{}", '{"format_version": "1"}', "[1]", "not json"])
def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path, manifest: str | None) -> None:
    target = tmp_path / "photos"
    target.mkdir()
    (target / "cat.png").write_bytes(b"cat")
    if manifest is not None:
        (target / "manifest.json").write_text(manifest)
    with pytest.raises(BundleError, match="exists and is no bundle"):
        write_tiny_bundle(target, force=True)
    assert (target / "cat.png").read_bytes() == b"cat"


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(b"mine")
    with pytest.raises(BundleError, match="exists and is no bundle"):
        write_tiny_bundle(tmp_path / "bundle", force=True)


def test_a_folder_that_stopped_being_a_bundle_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = write_tiny_bundle(tmp_path / "bundle")
    with BundleWriter(target, force=True) as writer:
        stage_tiny_files(writer.staging)
        (target / "manifest.json").unlink()
        with pytest.raises(BundleError, match="is no bundle"):
            writer.commit(tiny_manifest(writer.file_records()))
    assert "decoder.onnx" in _names(target)


def test_a_target_that_is_a_link_is_refused(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    (tmp_path / "link").symlink_to(bundle)
    with pytest.raises(RefusedError, match="link: is a link"):
        write_tiny_bundle(tmp_path / "link", force=True)
    Bundle.open(bundle).verify()


@pytest.mark.parametrize("target", [".", "/", "a/.."])
def test_a_target_without_a_name_is_an_error(target: str) -> None:
    with pytest.raises(BundleError, match="no name for a new folder"):
        BundleWriter(Path(target))


def test_leaving_without_commit_removes_what_was_staged(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "bundle") as writer:
        stage_tiny_files(writer.staging)
    assert _names(tmp_path) <= {".bundle.lock"}


def test_an_interrupt_removes_what_was_staged_and_keeps_the_old_bundle(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    with pytest.raises(KeyboardInterrupt), BundleWriter(bundle, force=True):
        raise KeyboardInterrupt
    Bundle.open(bundle).verify()
    assert _names(tmp_path) <= {"bundle", ".bundle.lock"}


def test_what_a_dead_writer_staged_is_removed_at_the_next_start(tmp_path: Path) -> None:
    stale = tmp_path / ".bundle.staging-0123abcd"
    stale.mkdir()
    (stale / "decoder.onnx").write_bytes(b"half")
    write_tiny_bundle(tmp_path / "bundle")
    assert not stale.exists()


def test_the_staging_folder_of_another_name_is_left_alone(tmp_path: Path) -> None:
    others = {".bundle.staging-x.staging-0123abcd", ".bundle2.staging-0123abcd", ".bundle.staging-"}
    for name in others:
        (tmp_path / name).mkdir()
    write_tiny_bundle(tmp_path / "bundle")
    assert others <= _names(tmp_path)


def test_a_link_in_place_of_a_stale_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / ".bundle.staging-0123abcd").symlink_to(tmp_path / "precious")
    write_tiny_bundle(tmp_path / "bundle")
    assert (tmp_path / "precious" / "file").exists()


def test_what_the_reader_refuses_is_never_published(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "bundle") as writer:
        stage_tiny_files(writer.staging)
        path = writer.staging / "decoder.onnx"
        model = onnx.load(path, load_external_data=False)
        model.graph.node.append(helper.make_node("RandomNormal", [], ["noise"], shape=[1]))
        path.write_bytes(model.SerializeToString())
        with pytest.raises(RefusedError, match="RandomNormal"):
            writer.commit(tiny_manifest(writer.file_records()))
    assert not (tmp_path / "bundle").exists()


def test_a_staged_file_that_is_not_listed_is_an_error(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "bundle") as writer:
        stage_tiny_files(writer.staging)
        records = writer.file_records()
        (writer.staging / "notes.txt").touch()
        with pytest.raises(BundleError, match=r"staged or listed, not both: notes\.txt"):
            writer.commit(tiny_manifest(records))


def test_a_hidden_file_is_an_error(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "bundle") as writer:
        (writer.staging / ".hidden").touch()
        with pytest.raises(BundleError, match=r"'\.hidden': no name for a file"):
            writer.file_records()


@pytest.mark.parametrize("folder", [False, True])
def test_a_staged_link_is_refused(tmp_path: Path, folder: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    with BundleWriter(tmp_path / "bundle") as writer:
        there = tmp_path / "elsewhere"
        (writer.staging / "link").symlink_to(there if folder else there / "file")
        with pytest.raises(RefusedError, match="link is a link"):
            writer.file_records()


def test_too_little_disk_names_what_is_needed_and_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with BundleWriter(tmp_path / "bundle") as writer:
        writer.require_space(1_500_000)
        with pytest.raises(ResourceError, match=r"needs 2\.5 MB of disk, 1\.5 MB are free"):
            writer.require_space(2_500_000)


def test_a_full_disk_is_a_resource_error_and_keeps_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with BundleWriter(bundle, force=True) as writer:
        stage_tiny_files(writer.staging, seed=1)
        manifest = tiny_manifest(writer.file_records())
        monkeypatch.setattr(os, "fsync", no_space)
        with pytest.raises(ResourceError, match="the disk is full"):
            writer.commit(manifest)
    Bundle.open(bundle).verify()
    assert _names(tmp_path) <= {"bundle", ".bundle.lock"}


def test_a_parent_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="bundle: cannot be written"):
        write_tiny_bundle(tmp_path / "file" / "bundle")
