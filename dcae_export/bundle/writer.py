"""Write a bundle beside its target, then put it in place in one step."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from dcae_export.bundle.files import open_inside, regular_file_status
from dcae_export.bundle.manifest import MANIFEST_NAME, RELATIVE_PATH_PATTERN, File, Manifest
from dcae_export.bundle.manifest_file import is_bundle, manifest_text
from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BundleError, RefusedError, ResourceError
from dcae_export.files.folder_swap import put_in_place, recover, sync_folder
from dcae_export.files.link import is_link
from dcae_export.files.sha256 import sha256
from dcae_export.files.writer_lock import writer_lock

_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class BundleWriter:
    """The one writer of a bundle: files go to ``staging``, and ``commit`` publishes them.

    Leaving the context without a commit removes what was staged; the target is then what it was.

    ```python
    with BundleWriter(target) as writer:
        (writer.staging / "decoder.onnx").write_bytes(model)
        writer.commit(Manifest(..., files=writer.file_records()))
    ```
    """

    def __init__(self, target: Path, *, force: bool = False, wait: bool = False) -> None:
        """Prepare a writer; nothing is touched before the context is entered.

        Args:
            target: The bundle's folder.
            force: Replace an existing bundle.
            wait: Queue behind another writer of the same target.

        Raises:
            BundleError: The target's path ends in no name.
        """
        if target.name in ("", ".."):
            raise BundleError(f"{target}: no name for a new folder; name the bundle")
        self.target = target
        self.staging = _staging_path(target)
        self._force = force
        self._wait = wait
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        """Take the lock, clear up after dead writers and make the staging folder.

        Raises:
            BundleError: The target exists, or cannot be replaced or made.
            RefusedError: The target is a link.
            BusyError: Another process writes the target.
        """
        with ExitStack() as stack, self._errors_named():
            self.target.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(writer_lock(self.target, wait=self._wait))
            recover(self.target, _staging_path(self.target))
            self._remove_stale()
            self._check_target()
            stack.callback(shutil.rmtree, self.staging, ignore_errors=True)
            self.staging.mkdir()
            self._undo = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def require_space(self, bytes_needed: int) -> None:
        """Check the disk before the work.

        Raises:
            ResourceError: Fewer than ``bytes_needed`` bytes are free beside the target.
        """
        free = shutil.disk_usage(self.target.parent).free
        if free < bytes_needed:
            raise ResourceError(
                f"{self.target}: needs {_megabytes(bytes_needed)} of disk, {_megabytes(free)} are free; "
                "make room or choose another disk"
            )

    def file_records(self) -> dict[str, File]:
        """The size and hash of every staged file, as a manifest lists them.

        Raises:
            BundleError: A file's name is none that a bundle may have.
            RefusedError: Something staged is no regular file.
        """
        records: dict[str, File] = {}
        for name in self._names():
            with open_inside(self.staging, name) as file:
                size = os.fstat(file.fileno()).st_size
                records[name] = File(sha256=sha256(file), bytes=size)
        return records

    def commit(self, manifest: Manifest) -> Path:
        """Publish the staged files under ``manifest``, replacing the old bundle in one step.

        Returns:
            The target, now the new bundle.

        Raises:
            BundleError: The reader would not accept the bundle, or the target cannot be replaced.
            RefusedError: The reader would refuse the bundle.
            ResourceError: The disk is full.
        """
        with self._errors_named():
            names = self._names()
            if set(names) != set(manifest.files):
                differing = sorted(set(names) ^ set(manifest.files))
                raise BundleError(f"{self.target}: staged or listed, not both: {differing[0]}")
            for name in names:
                _sync_file(self.staging / name)
            self._write_manifest(manifest)
            self._check_readable()
            for folder, _, _ in os.walk(self.staging):
                sync_folder(Path(folder))
            # Hours may have passed since the first look.
            self._check_target()
            put_in_place(self.staging, self.target)
        shutil.rmtree(self.staging, ignore_errors=True)
        return self.target

    def _write_manifest(self, manifest: Manifest) -> None:
        with (self.staging / MANIFEST_NAME).open("xb") as file:
            file.write(manifest_text(manifest).encode())
            file.flush()
            os.fsync(file.fileno())

    def _check_readable(self) -> None:
        # What the reader refuses is never published. The hashes were taken from these files just now.
        bundle = Bundle.open(self.staging, verify_hashes=False)
        for name in bundle.manifest.graphs:
            bundle.check_graph(name)
        for case in bundle.manifest.golden:
            bundle.golden(case)
        if bundle.manifest.samplers is not None:
            for name in bundle.manifest.samplers.tables:
                bundle.time_features(name)

    def _names(self) -> list[str]:
        paths = (
            Path(folder, name)
            for folder, folders, files in os.walk(self.staging)
            for name in (*files, *(f for f in folders if is_link(Path(folder, f).lstat())))
        )
        names = sorted(path.relative_to(self.staging).as_posix() for path in paths)
        for name in names:
            if not re.fullmatch(RELATIVE_PATH_PATTERN, name):
                raise BundleError(f"{name!r}: no name for a file of a bundle")
            regular_file_status(self.staging, name)
        return names

    def _check_target(self) -> None:
        try:
            status = self.target.lstat()
        except FileNotFoundError:
            return
        if is_link(status):
            raise RefusedError(f"{self.target}: is a link; name the folder that it leads to")
        if not self._force:
            raise BundleError(f"{self.target}: exists; --force replaces it")
        if not is_bundle(self.target):
            raise BundleError(f"{self.target}: exists and is no bundle; choose another name")

    def _remove_stale(self) -> None:
        # This process holds the lock, so whoever made these is dead.
        stale = re.compile(re.escape(f".{self.target.name}.staging-") + "[0-9a-f]{8}")
        for path in self.target.parent.iterdir():
            if stale.fullmatch(path.name) and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _errors_named(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _DISK_FULL:
                raise ResourceError(f"{self.target}: the disk is full; make room") from error
            raise BundleError(f"{self.target}: cannot be written ({error})") from error


def _staging_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.staging-{secrets.token_hex(4)}")


def _sync_file(path: Path) -> None:
    # Windows syncs only what is open for writing.
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB"
