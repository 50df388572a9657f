"""The folder of a checkpoint: which files it has, and how it comes into being whole."""

import errno
import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType] - untyped
from torch import Tensor

from dcae_export.errors import InputError, ResourceError, WeightsError
from dcae_export.files.folder_swap import put_in_place, sync_folder
from dcae_export.models.key_map import Layout
from dcae_export.models.tensor_files import INDEX_SUFFIX

CONFIG_NAME = "config.json"
CARD_NAME = "README.md"
STEMS = {Layout.OFFICIAL: "model", Layout.DIFFUSERS: "diffusion_pytorch_model"}
_WEIGHTS = tuple(
    stem + suffix for stem in STEMS.values() for suffix in (".safetensors", INDEX_SUFFIX)
)
_LICENCE = re.compile(r"^license:[ \t]*['\"]?([A-Za-z0-9._+-]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointFiles:
    """The files of a checkpoint: ``config`` and ``licence`` are None where nothing says them."""

    weights: Path
    config: Path | None
    licence: str | None


def locate(path: Path) -> CheckpointFiles:
    """The checkpoint's files for a weights file or a folder; a pipeline's folder has them in ``vae``.

    Raises:
        WeightsError: There is none, or more than one.
    """
    weights = _find_weights(path) if path.is_dir() else path
    config = weights.with_name(CONFIG_NAME)
    return CheckpointFiles(
        weights=weights,
        config=config if config.is_file() else None,
        licence=_licence(weights.with_name(CARD_NAME)),
    )


def save_folder(
    target: Path,
    *,
    config: dict[str, object],
    tensors: dict[str, Tensor],
    layout: Layout,
    force: bool,
) -> None:
    """Write config.json and one safetensors file; the folder appears whole or not at all.

    Raises:
        InputError: The folder exists and ``force`` is off, or holds more than a checkpoint; or it cannot
            be written.
        ResourceError: The disk is full.
    """
    _refuse_occupied(target, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _require_space(target.parent, sum(tensor.nbytes for tensor in tensors.values()))
        staging = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        try:
            staging.mkdir()
            weights = staging / f"{STEMS[layout]}.safetensors"
            save_file(tensors, weights, metadata={"format": "pt"})
            (staging / CONFIG_NAME).write_text(
                json.dumps(config, indent=2) + "\n", encoding="utf-8"
            )
            for written in (weights, staging / CONFIG_NAME):
                with written.open("r+b") as file:
                    os.fsync(file.fileno())
            sync_folder(staging)
            put_in_place(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise ResourceError(f"{target}: no space left on the disk") from error
        raise InputError(f"{target}: cannot be written: {error}") from error


def _find_weights(folder: Path) -> Path:
    found = [folder / name for name in _WEIGHTS if (folder / name).is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise WeightsError(f"{folder}: holds {names}; give the file that is meant")
    if found:
        return found[0]
    part = folder / "vae"
    if part.is_dir():
        return _find_weights(part)
    raise WeightsError(f"{folder}: holds none of {', '.join(_WEIGHTS)}")


def _licence(card: Path) -> str | None:
    """The licence that a model card states in its YAML front matter."""
    try:
        text = card.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    opening, _, rest = text.partition("---\n")
    stated = _LICENCE.search(rest.partition("\n---")[0]) if not opening.strip() else None
    return stated[1] if stated else None


def _refuse_occupied(target: Path, *, force: bool) -> None:
    if not target.exists():
        return
    if not force:
        raise InputError(f"{target}: exists already; choose another folder, or use --force")
    if not target.is_dir():
        raise InputError(f"{target}: is no folder")
    others = {entry.name for entry in target.iterdir()} - {CONFIG_NAME, *_WEIGHTS}
    if others:
        raise InputError(f"{target}: holds more than a checkpoint ({min(others)}); not replaced")


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"{folder}: {needed / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free"
        )
