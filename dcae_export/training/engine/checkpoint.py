"""One checkpoint of a training: a folder of safetensors and JSON files, and the list of their hashes."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType] - untyped
from torch import Tensor

from dcae_export.bundle.manifest import File
from dcae_export.errors import InputError, WeightsError
from dcae_export.files.folder_swap import sync_folder
from dcae_export.files.sha256 import sha256
from dcae_export.models.tensor_files import read_json_object, read_tensors

FORMAT = 1
LIST_NAME = "checkpoint.json"
STATE_NAME = "state.json"

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class _Contents(BaseModel):
    """The list of a checkpoint's files, written last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    step: Annotated[int, Field(ge=0)]
    files: dict[_Name, File]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A checkpoint that stands whole at ``path``, after ``step`` steps."""

    path: Path
    step: int

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors that were written under ``name``, on the CPU.

        Raises:
            WeightsError: There is no such file, or it is damaged.
        """
        return read_tensors(self.path / f"{name}.safetensors")

    def state(self) -> dict[str, object]:
        """The JSON object that was written with them.

        Raises:
            InputError: It cannot be read.
        """
        return read_json_object(self.path / STATE_NAME)


def write_checkpoint(
    folder: Path,
    *,
    step: int,
    arrays: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, object],
) -> None:
    """Fill an empty folder; each file is on the disk before the list names it.

    Args:
        folder: The folder, of a name that no reader looks at.
        step: How many steps are done.
        arrays: Tensors on the CPU by name, by the name of their file without its suffix.
        state: What is no tensor; JSON.

    Raises:
        OSError: The folder cannot be written.
        SafetensorError: A file of tensors cannot.
    """
    for name, tensors in arrays.items():
        contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
        save_file(contiguous, folder / f"{name}.safetensors")
    _write_json(folder / STATE_NAME, state)
    files = {path.name: _sync(path) for path in sorted(folder.iterdir())}
    contents = _Contents(format=FORMAT, step=step, files=files)
    _write_json(folder / LIST_NAME, contents.model_dump())
    _sync(folder / LIST_NAME)
    sync_folder(folder)


def open_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint all of whose files have the size and the hash that its list says.

    Raises:
        WeightsError: It is damaged or incomplete; the message names a file and no folder.
        InputError: It is of a newer format.
    """
    contents = _read_list(path)
    for name, expected in contents.files.items():
        try:
            with (path / name).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                # The cheap look first: what a full disk or a broken copy left is mostly too short.
                if size != expected.bytes:
                    raise WeightsError(f"{name} has {size} bytes for {expected.bytes}")
                if sha256(file) != expected.sha256:
                    raise WeightsError(f"{name} has another sha256 than its list says")
        except OSError as error:
            raise WeightsError(f"{name} cannot be read: {error.strerror}") from error
    return Checkpoint(path=path, step=contents.step)


def _read_list(path: Path) -> _Contents:
    try:
        stated = read_json_object(path / LIST_NAME)
    except InputError as error:
        raise WeightsError(f"{LIST_NAME} cannot be read") from error
    version = stated.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise InputError(
            f"{path}: format {version} is newer than {FORMAT}, the newest that this version reads; "
            "update dcae-export"
        )
    try:
        return _Contents.model_validate(stated, strict=True)
    except ValidationError as error:
        raise WeightsError(f"{LIST_NAME} is no list of a checkpoint's files") from error


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    text = json.dumps(content, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _sync(path: Path) -> File:
    """Wait until a file is on the disk; its size and hash."""
    # Windows syncs only what is open for writing.
    with path.open("r+b") as file:
        os.fsync(file.fileno())
    with path.open("rb") as file:
        return File(sha256=sha256(file), bytes=os.fstat(file.fileno()).st_size)
