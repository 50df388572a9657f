"""The folder of a run: which checkpoints it keeps, and which one a resumed run begins with."""

import errno
import re
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from dcae_export.errors import BusyError, InputError, ResourceError, WeightsError
from dcae_export.files.folder_swap import sync_folder
from dcae_export.files.whole_file import whole_file
from dcae_export.files.writer_lock import writer_lock
from dcae_export.training.engine.checkpoint import Checkpoint, open_checkpoint, write_checkpoint
from dcae_export.training.engine.events import CheckpointUnusable

POINTER_NAME = "LATEST"
_NAME = re.compile(r"step-([0-9]{6,})")
# What a killed writer leaves: folders that are being written or removed, and the pointer's next content.
_STAGED = re.compile(r"\.step-[0-9]+\.[0-9a-f]{8}\.partial|\.dcae-[0-9a-f]{16}\.tmp")
_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class RunFolder:
    """``checkpoints/step-000100/``, the one before it, and ``checkpoints/LATEST``, a line that names one.

    A checkpoint is staged under a name that nothing reads, synced and renamed; then the pointer is replaced.
    A process killed at any moment leaves the old checkpoint or the new one, whole, and the pointer to one of
    them.
    """

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is touched before ``locked``."""
        self.path = path
        self.checkpoints = path / "checkpoints"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Be the one process that writes this run; what dead ones staged is removed.

        Raises:
            InputError: The folder cannot be made.
            BusyError: Another process writes it.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be made: {error.strerror}") from error
        with ExitStack() as stack:
            try:
                stack.enter_context(writer_lock(self.checkpoints))
            except BusyError as error:
                raise BusyError(
                    f"{self.path}: another process trains into it; stop that one, or choose another folder"
                ) from error
            for path in self.checkpoints.iterdir():
                if _STAGED.fullmatch(path.name):
                    _remove(path)
            yield

    def newest(self, on_unusable: Callable[[CheckpointUnusable], None]) -> Checkpoint | None:
        """The checkpoint that the pointer names; where that is damaged, the newest whole one.

        Args:
            on_unusable: Is told of each damaged checkpoint on the way.

        Returns:
            The checkpoint; None where the run has none.

        Raises:
            WeightsError: There are checkpoints, and none is whole.
            InputError: One on the way is of a newer format.
        """
        candidates = list(self._candidates())
        for path in candidates:
            try:
                return open_checkpoint(path)
            except WeightsError as error:
                on_unusable(CheckpointUnusable(path=path, reason=str(error)))
        if candidates:
            raise WeightsError(
                f"{self.checkpoints}: none of its checkpoints is whole; train into another folder"
            )
        return None

    def write(
        self,
        *,
        step: int,
        arrays: Mapping[str, Mapping[str, Tensor]],
        state: Mapping[str, object],
    ) -> Checkpoint:
        """Write a checkpoint, point to it, and keep the one before it.

        Args:
            step: How many steps are done.
            arrays: Tensors on the CPU by name, by the name of their file without its suffix.
            state: What is no tensor; JSON.

        Raises:
            ResourceError: The disk has too little room.
            InputError: The folder cannot be written.
        """
        name = f"step-{step:06d}"
        target, staging = self.checkpoints / name, self._staging_path(name)
        try:
            self._require_space(arrays)
            staging.mkdir()
            write_checkpoint(staging, step=step, arrays=arrays, state=state)
            self._discard(target)
            staging.rename(target)
            sync_folder(self.checkpoints)
            self._point_to(name)
            self._prune(target)
        except (OSError, SafetensorError) as error:
            if getattr(error, "errno", None) in _DISK_FULL or "No space left" in str(error):
                raise ResourceError(f"{target}: the disk is full; make room") from error
            raise InputError(f"{target}: cannot be written: {error}") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return Checkpoint(path=target, step=step)

    def _candidates(self) -> Iterator[Path]:
        """What the pointer names, then the others, the newest first."""
        steps = self._steps()
        pointed = self._pointed()
        if pointed in steps:
            yield pointed
        for path in sorted(steps, key=steps.__getitem__, reverse=True):
            if path != pointed:
                yield path

    def _steps(self) -> dict[Path, int]:
        """The checkpoints by their steps, whole or not."""
        paths = self.checkpoints.iterdir() if self.checkpoints.is_dir() else ()
        named = ((path, _NAME.fullmatch(path.name)) for path in paths)
        return {path: int(match[1]) for path, match in named if match is not None}

    def _pointed(self) -> Path | None:
        try:
            name = (self.checkpoints / POINTER_NAME).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return self.checkpoints / name if _NAME.fullmatch(name) else None

    def _point_to(self, name: str) -> None:
        with whole_file(self.checkpoints / POINTER_NAME, force=True) as file:
            file.write(f"{name}\n".encode())
        sync_folder(self.checkpoints)

    def _prune(self, newest: Path) -> None:
        """Keep the newest and the one before it; what is newer belongs to a course that was given up."""
        steps = self._steps()
        older = [path for path in steps if steps[path] < steps[newest]]
        kept = {newest, *sorted(older, key=steps.__getitem__)[-1:]}
        for path in steps.keys() - kept:
            self._discard(path)

    def _discard(self, path: Path) -> None:
        """Remove a checkpoint so that no part of it ever stands under its name."""
        if path.exists():
            partial = self._staging_path(path.name)
            path.rename(partial)
            _remove(partial)

    def _staging_path(self, name: str) -> Path:
        return self.checkpoints / f".{name}.{secrets.token_hex(4)}.partial"

    def _require_space(self, arrays: Mapping[str, Mapping[str, Tensor]]) -> None:
        needed = sum(tensor.nbytes for tensors in arrays.values() for tensor in tensors.values())
        free = shutil.disk_usage(self.checkpoints).free
        if free < needed:
            raise ResourceError(
                f"{self.checkpoints}: a checkpoint needs {needed / 1e9:.2f} GB of disk, "
                f"{free / 1e9:.2f} GB are free; make room and resume"
            )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
