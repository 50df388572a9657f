"""Damage a copy of a bundle as a case describes it."""

import copy
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import numpy as np
import onnx
from onnx import TensorProto, helper
from pydantic import JsonValue

from runtimes.conformance import cases
from runtimes.conformance.cases import Damage, Key

_MANIFEST = "manifest.json"


def damage_bundle(bundle: Path, damages: tuple[Damage, ...]) -> None:
    """Apply each damage in turn; links lead to a folder beside the bundle."""
    for damage in damages:
        _damage(bundle, damage)


def _damage(bundle: Path, damage: Damage) -> None:
    match damage:
        case (
            cases.Set() | cases.SetRepeated() | cases.SetCopies() | cases.Remove() | cases.Reverse()
        ):
            _edit_manifest(bundle, functools.partial(_edit, damage=damage))
        case cases.ReplaceText() | cases.Manifest() | cases.ManifestBytes() | cases.ManifestSize():
            path = bundle / _MANIFEST
            path.write_bytes(_manifest_bytes(path.read_bytes(), damage))
        case cases.Flip() | cases.Truncate() | cases.Append():
            path = bundle / damage.file
            path.write_bytes(_damaged_bytes(path.read_bytes(), damage))
        case cases.Delete() | cases.Link() | cases.Become():
            _change_entry(bundle, damage)
        case cases.Write():
            _replace(bundle, damage.file, bytes.fromhex(damage.hex) + damage.text.encode())
        case cases.Array():
            _replace(bundle, damage.file, _array(bundle / damage.file, damage))
        case cases.Graph():
            _replace(bundle, damage.file, _graph(bundle / damage.file, damage))
        case _:
            assert_never(damage)


# ------------------------------------------------------------------------------- the manifest


def _edit_manifest(bundle: Path, edit: Callable[[JsonValue], None]) -> None:
    path = bundle / _MANIFEST
    content = json.loads(path.read_bytes())
    edit(content)
    path.write_text(json.dumps(content))


def _edit(
    content: JsonValue,
    damage: cases.Set | cases.SetRepeated | cases.SetCopies | cases.Remove | cases.Reverse,
) -> None:
    place, last = _at(content, damage.at[:-1]), damage.at[-1]
    match damage:
        case cases.Set():
            _put(place, last, damage.value)
        case cases.SetRepeated():
            text = damage.value.value()
            _put(place, last, text if damage.items is None else [text] * damage.items)
        case cases.SetCopies():
            _copy(_at(place, (last,)), _at(content, damage.of), damage)
        case cases.Remove():
            del place[last]  # type: ignore[union-attr]
        case cases.Reverse():
            _at(place, (last,)).reverse()  # type: ignore[union-attr]


def _copy(place: JsonValue, value: JsonValue, damage: cases.SetCopies) -> None:
    value = copy.deepcopy(value)
    if isinstance(place, dict):
        assert damage.key is not None
        place.update({damage.key.replace("{}", str(i)): value for i in range(damage.times)})
    else:
        assert isinstance(place, list)
        place.extend([value] * damage.times)


def _at(content: JsonValue, keys: tuple[Key, ...]) -> JsonValue:
    for key in keys:
        content = content[key]  # type: ignore[index]
    return content


def _put(place: JsonValue, key: Key, value: JsonValue) -> None:
    if isinstance(place, list) and key == len(place):
        place.append(value)
    else:
        place[key] = value  # type: ignore[index]


def _manifest_bytes(
    data: bytes,
    damage: cases.ReplaceText | cases.Manifest | cases.ManifestBytes | cases.ManifestSize,
) -> bytes:
    match damage:
        case cases.ReplaceText():
            text, count = re.subn(damage.pattern, lambda _: damage.text, data.decode(), count=1)
            assert count == 1, f"nothing is like {damage.pattern}"
            return text.encode()
        case cases.Manifest():
            text = damage.text if isinstance(damage.text, str) else damage.text.value()
            return text.encode()
        case cases.ManifestBytes():
            return bytes.fromhex(damage.hex)
        case cases.ManifestSize():
            return data.ljust(damage.size)


# ---------------------------------------------------------------------------------- files


def _damaged_bytes(data: bytes, damage: cases.Flip | cases.Truncate | cases.Append) -> bytes:
    match damage:
        case cases.Flip():
            at = min(int(damage.at * len(data)), len(data) - 1)
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        case cases.Truncate():
            return data[: min(int(damage.to * len(data)), len(data) - 1)]
        case cases.Append():
            return data + b"\0"


def _change_entry(bundle: Path, damage: cases.Delete | cases.Link | cases.Become) -> None:
    path = bundle / damage.file
    outside = bundle.parent / f"{bundle.name}-outside"
    match damage:
        case cases.Delete():
            path.unlink()
        case cases.Link(to="inside"):
            moved = path.with_name(f"moved-{path.name}")
            path.rename(moved)
            path.symlink_to(moved.name)
        case cases.Link():
            outside.mkdir(exist_ok=True)
            path.rename(outside / path.name)
            missing = damage.to == "nowhere"
            path.symlink_to(outside / ("missing" if missing else path.name))
        case cases.Become():
            outside.mkdir(exist_ok=True)
            path.rename(outside / path.name)
            make = {"folder": path.mkdir, "file": path.touch, "pipe": lambda: os.mkfifo(path)}
            make[damage.what]()


def _replace(bundle: Path, name: str, data: bytes) -> None:
    (bundle / name).write_bytes(data)
    record: JsonValue = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    listed = cases.Set(do="set", at=("files", name), value=record)
    _edit_manifest(bundle, functools.partial(_edit, damage=listed))


def _array(path: Path, damage: cases.Array) -> bytes:
    array = np.load(path)
    if damage.dtype is not None:
        array = array.astype(damage.dtype)
    if damage.shape is not None:
        array = np.resize(array, damage.shape)
    if damage.first_value is not None:
        array.flat[0] = float(damage.first_value)
    if damage.fortran_order:
        array = np.asfortranarray(array)
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# ---------------------------------------------------------------------------------- graphs


def _graph(path: Path, damage: cases.Graph) -> bytes:
    if damage.change == "cut":
        return path.read_bytes()[: path.stat().st_size // 2]
    model = onnx.load(path, load_external_data=False)
    _GRAPH_CHANGES[damage.change](model, damage.text)
    return model.SerializeToString()


def _outside(location: str, **sizes: int) -> TensorProto:
    tensor = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **sizes}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _without_the_mark(model: onnx.ModelProto, location: str) -> None:
    tensor = _outside(location)
    tensor.ClearField("data_location")
    model.graph.initializer.append(tensor)


def _node(name: str, *, domain: str = "", **attributes: object) -> onnx.NodeProto:
    return helper.make_node(name, [], ["made"], domain=domain, **attributes)


def _in_a_subgraph(model: onnx.ModelProto, name: str) -> None:
    body = helper.make_graph([_node(name)], "body", [], [])
    model.graph.node.append(_node("Constant", body=body))


def _in_a_function(model: onnx.ModelProto, name: str) -> None:
    sets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("", "Packed", [], [], [_node(name)], sets))


def _nan_weight(model: onnx.ModelProto, _: str) -> None:
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = np.frombuffer(weight.raw_data, np.float32).copy()
    values[:] = np.nan
    weight.raw_data = values.tobytes()


def _set_metadata(model: onnx.ModelProto, text: str) -> None:
    model.metadata_props[0].value = text


def _set_opset(model: onnx.ModelProto, text: str) -> None:
    model.opset_import[0].version = int(text)


_GRAPH_CHANGES: dict[str, Callable[[onnx.ModelProto, str], object]] = {
    "external location": lambda model, text: model.graph.initializer.append(_outside(text)),
    "external attribute": lambda model, text: model.graph.node.append(
        _node("Constant", value=_outside(text))
    ),
    "external past the end": lambda model, text: model.graph.initializer.append(
        _outside(text, offset=2**40, length=4)
    ),
    "external without the mark": _without_the_mark,
    "operator": lambda model, text: model.graph.node.append(_node(text)),
    "operator of another domain": lambda model, text: model.graph.node.append(
        _node("Add", domain=text)
    ),
    "operator in a function": _in_a_function,
    "operator in a subgraph": _in_a_subgraph,
    "metadata": _set_metadata,
    "no metadata": lambda model, _: model.ClearField("metadata_props"),
    "operator set": _set_opset,
    "nan weight": _nan_weight,
}
