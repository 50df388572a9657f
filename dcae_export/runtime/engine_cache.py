"""A folder of TensorRT engines, in which none is ever used for a key that is not its own.

```
<cache>/                    0700, the user's own
  <digest of the key>/      key.json, which holds the key and each file's sha256, and TensorRT's files
  timings-<platform>/       measured layers
```

An engine holds machine code: what is loaded was written by this user, and is unchanged since.
"""

import json
import os
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dcae_export.errors import InputError, RefusedError
from dcae_export.files.sha256 import sha256
from dcae_export.files.writer_lock import writer_lock
from dcae_export.runtime.engine_key import EngineKey, Platform
from dcae_export.user_cache import cache_root

KEY_NAME = "key.json"
_OTHERS = 0o077
_OTHERS_MAY_WRITE = 0o022
# A key has a few lines for each input and file.
_MAX_KEY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class EngineCache:
    """The engines that are kept in ``root``, a folder that was checked."""

    root: Path

    @classmethod
    def open(cls, root: Path | None) -> "EngineCache":
        """Use a folder, made where it is missing; None is that of the user's cache.

        Raises:
            RefusedError: The folder is a link, another user's, or one that others may write to.
            InputError: It cannot be made.
        """
        folder = cache_root() / "tensorrt" if root is None else root.expanduser()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_folder(folder)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be a cache: {error.strerror}; choose another with --engine-cache"
            ) from error
        return cls(folder)

    def find(self, key: EngineKey) -> Path | None:
        """The folder of an engine that is whole and of this very key; None where there is none."""
        folder = self._folder(key)
        return folder if _is_whole(folder, key, digests=True) else None

    def holds_only(self, key: EngineKey) -> bool:
        """Whether the folder of an engine that was found still holds its files and no others.

        A provider that takes none of them builds one beside them.
        """
        return _is_whole(self._folder(key), key, digests=False)

    def timings(self, platform: Platform) -> Path:
        """The folder of measured layers of a platform, made where it is missing."""
        folder = self.root / f"timings-{platform.digest()}"
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            _remove(folder)
        # Another process may have made it meanwhile.
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @contextmanager
    def building(self, *, wait: bool) -> Generator[None]:
        """Be the one process that builds: builders measure, and would disturb each other.

        Raises:
            BusyError: Another one builds, and ``wait`` is off.
        """
        with writer_lock(self.root / "builder", wait=wait):
            yield

    @contextmanager
    def new_entry(self, key: EngineKey) -> Generator[Path]:
        """A folder to build in, which takes the place of what the key has once the context is left without an error.

        For the process that is ``building``: what one left that was killed is removed.

        Raises:
            InputError: Nothing was written to it.
        """
        target = self._folder(key)
        staging = self.root / f".{target.name}.building"
        _remove(staging)
        staging.mkdir(mode=0o700)
        try:
            yield staging
            _seal(staging, key)
            _remove(target)
            staging.rename(target)
        finally:
            _remove(staging)

    def _folder(self, key: EngineKey) -> Path:
        return self.root / key.digest()


def _check_folder(folder: Path) -> None:
    """Check that only this user can have written to a folder, and that nobody else reads it from now on."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise RefusedError(f"{folder}: is a link; name the folder that it leads to")
    if not hasattr(os, "geteuid"):
        return  # Windows keeps a user's folders to the user by other means.
    if status.st_uid != os.geteuid():
        raise RefusedError(
            f"{folder}: belongs to another user, and engines are machine code; choose another --engine-cache"
        )
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise RefusedError(
            f"{folder}: others may write to it, and engines are machine code; remove it, or choose another "
            "--engine-cache"
        )
    if status.st_mode & _OTHERS:
        folder.chmod(0o700)


def _is_whole(folder: Path, key: EngineKey, *, digests: bool) -> bool:
    """Whether a folder is of a key, and holds the files that are listed and no others."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return False
        listed = _read_key_file(folder / KEY_NAME, key)
        there = {path.name for path in folder.iterdir()} - {KEY_NAME}
        return (
            listed is not None
            and bool(listed)
            and there == set(listed)
            and (
                not digests
                or all(_file_digest(folder / name) == digest for name, digest in listed.items())
            )
        )
    except (OSError, ValueError, RecursionError):
        return False


def _read_key_file(path: Path, key: EngineKey) -> dict[str, str] | None:
    """The digests of an engine's files; None where the key is another one."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_KEY_BYTES:
        return None
    content: object = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        return None
    entries = cast("dict[str, object]", content)
    files = entries.get("files")
    if entries.get("key") != key.content() or not isinstance(files, dict):
        return None
    return cast("dict[str, str]", files)


def _file_digest(path: Path) -> str:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{path} is no file")
    with path.open("rb") as file:
        return sha256(file)


def _seal(folder: Path, key: EngineKey) -> None:
    files = {path.name: _file_digest(path) for path in sorted(folder.iterdir())}
    if not files:
        raise InputError(f"{key.graph}: TensorRT kept no engine in {folder.parent}")
    content = {"key": key.content(), "files": files}
    with (folder / KEY_NAME).open("x", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    """Remove what stands at a path, whatever it is; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
