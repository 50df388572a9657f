"""Read named tensors from files without running what is in them.

Tensors are views of the mapped file where the format allows it: nothing is read before it is used.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dcae_export.errors import InputError, RefusedError, WeightsError

INDEX_SUFFIX = ".safetensors.index.json"
_PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt")
SUFFIXES = (".safetensors", INDEX_SUFFIX, *_PICKLE_SUFFIXES)
# torch.save's containers: a zip archive, or (before torch 1.6) a pickle of protocol 2 or later.
_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"
# A config is a few kilobytes, the index of a published autoencoder's shards some hundred.
MAX_JSON_BYTES = 2**20


class _TensorFile(Protocol):
    """What is used of ``safe_open``, which comes without types."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def keys(self) -> list[str]: ...
    def get_tensor(self, name: str) -> Tensor: ...


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a ``.safetensors`` file, of its shards' index, or of a ``.pt``, ``.pth`` or ``.ckpt``.

    Raises:
        WeightsError: The file is missing, empty, truncated or malformed.
        RefusedError: A pickle that holds more than tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    if not path.stat().st_size:
        raise WeightsError(f"{path}: the file is empty; fetch it again")
    if path.name.endswith(INDEX_SUFFIX):
        return _read_shards(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in _PICKLE_SUFFIXES:
        return _read_pickle(path)
    raise WeightsError(f"{path}: weights are files that end in {', '.join(SUFFIXES)}")


def read_json_object(path: Path) -> dict[str, object]:
    """The JSON object in a file.

    Raises:
        WeightsError: The file is larger than any config or index of a checkpoint.
        InputError: The file cannot be read or holds something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
        if len(data) > MAX_JSON_BYTES:
            raise WeightsError(
                f"{path}: more than {MAX_JSON_BYTES} bytes, which no checkpoint's JSON has"
            )
        content: object = json.loads(data.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no JSON object")
    return cast("dict[str, object]", content)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with cast("_TensorFile", safe_open(path, framework="pt")) as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no iterator
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(
            f"{path}: truncated, or no safetensors file ({_first_sentence(error)}); fetch it again"
        ) from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    listed = read_json_object(index).get("weight_map")
    if not isinstance(listed, dict):
        raise WeightsError(f"{index}: has no weight_map")
    weight_map = cast("dict[str, object]", listed)
    tensors: dict[str, Tensor] = {}
    for name in sorted({str(shard) for shard in weight_map.values()}):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise RefusedError(f"{index}: shard {name!r} is no .safetensors file beside it")
        shard = read_tensors(index.with_name(name))
        twice = sorted(tensors.keys() & shard.keys())
        if twice:
            raise WeightsError(f"{index}: {twice[0]!r} is in two shards")
        tensors.update(shard)
    if tensors.keys() != weight_map.keys():
        odd = sorted(tensors.keys() ^ weight_map.keys())
        raise WeightsError(f"{index}: {odd[0]!r} is in the index or in a shard, but not in both")
    return tensors


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP_MAGIC))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    if start != _ZIP_MAGIC and not start.startswith(_PICKLE_MAGIC):
        raise WeightsError(f"{path}: no PyTorch checkpoint; fetch it again")
    try:
        content: object = torch.load(  # noqa: TID251 - restricted to tensors
            path, map_location="cpu", weights_only=True, mmap=start == _ZIP_MAGIC
        )
    except pickle.UnpicklingError as error:
        raise RefusedError(
            f"{path}: a pickle that holds more than tensors; nothing in it was run. "
            "Use the .safetensors form of these weights"
        ) from error
    # The restricted unpickler meets malformed input with whatever its steps raise.
    except Exception as error:
        raise WeightsError(
            f"{path}: truncated, or no PyTorch checkpoint ({_first_sentence(error)}); fetch it again"
        ) from error
    return _state_dict(content, path)


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and "state_dict" in content:
        content = cast("Mapping[object, object]", content)["state_dict"]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds no state dict")
    tensors: dict[str, Tensor] = {}
    for name, value in cast("Mapping[object, object]", content).items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path}: {name!r} in its state dict is no named tensor")
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise WeightsError(f"{path}: {name!r} is no plain tensor")
        tensors[name] = value.detach()
    return tensors


def _first_sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0] if lines else type(error).__name__
