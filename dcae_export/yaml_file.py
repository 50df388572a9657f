"""A YAML file becomes a typed, frozen model and back, or an error that names the file, the key and what it expects.

What is read is JSON in YAML's clothes: no aliases, no tags, no repeated keys, and no words or numbers with a
second meaning (``off`` is text, ``1e-3`` is a number).
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError

from dcae_export.errors import ConfigError, UsageError

MAX_BYTES = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)

_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
# JSON's numbers. 010, 0x10, 1_000 and 1:30 are numbers to some readers of YAML and text to others.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def load(path: Path, model: type[Model], *, overrides: Mapping[str, str] | None = None) -> Model:
    """Read a YAML file.

    Args:
        path: A YAML file that holds one mapping.
        model: What it must be; unknown keys are refused where the model forbids them.
        overrides: Values in place of the file's, as YAML, by key; ``outer.inner`` is a key of a mapping. Messages
            call them by the option ``--set``.

    Raises:
        ConfigError: It cannot be read, or is not what ``model`` says.
        UsageError: An override makes it something else than ``model`` says.
    """
    text = _read(path)
    overrides = overrides or {}

    def read(some: Mapping[str, str]) -> Model:
        content = _parse(str(path), text)
        for key, value in some.items():
            _override(content, key, value)
        return _validated(content, model)

    def breaks(some: Mapping[str, str]) -> str | None:
        """The key at which the file is wrong with only these; None where it is right."""
        try:
            read(some)
        except ValidationError as error:
            return _in_one_line(error, model)[1]
        return None

    try:
        return read(overrides)
    except ValidationError as error:
        fault, key = _in_one_line(error, model)
        if any(fault.startswith((f"{one}:", f"{one}.")) for one in overrides):
            raise UsageError(f"--set {fault}") from error
        if not overrides or breaks({}) is not None:
            raise ConfigError(f"{path}: {fault}") from error
        # Another key may be at fault than the one that is wrong: the others that were set are innocent.
        at_fault = [one for one, value in overrides.items() if breaks({one: value}) == key]
        blamed = ", ".join(at_fault) or "several together"
        raise UsageError(f"--set {blamed}: {fault}") from error


def dump(content: BaseModel) -> str:
    """The YAML that ``load`` reads as an equal model, every key written out."""
    return "".join(_lines(content.model_dump(mode="json"), indent=""))


def _lines(content: Mapping[str, object], *, indent: str) -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:\n"
            yield from _lines(cast("dict[str, object]", value), indent=f"{indent}  ")
        else:
            # JSON's words and numbers mean here what they mean there, and its text is quoted.
            yield f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}\n"


def _override(content: dict[str, object], key: str, text: str) -> None:
    *outer, last = key.split(".")
    for name in outer:
        inner = content.get(name)
        if not isinstance(inner, dict):
            inner = content[name] = _Mapping()
        content = cast("dict[str, object]", inner)
    try:
        content[last] = _value_of(f"--set {key}", text)
    except ConfigError as error:
        raise UsageError(str(error)) from error


def _validated(content: Mapping[str, object], model: type[Model]) -> Model:
    # By way of JSON: strict about types, yet a list may become a tuple.
    return model.model_validate_json(json.dumps(content), strict=True)


def _in_one_line(error: ValidationError, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, and at which key; that is empty where several keys are wrong together."""
    first, *rest = error.errors(include_url=False, include_input=False)
    key = ".".join(str(part) for part in first["loc"])
    expectation = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        expectation = _unknown(key, model)
    more = f" (and {len(rest)} more)" if rest else ""
    return (f"{key}: " if key else "") + expectation + more, key


def _unknown(key: str, model: type[BaseModel]) -> str:
    keys = [one.rpartition(".") for one in _keys(model, "")]
    outer, _, last = key.rpartition(".")
    beside = [name for place, _, name in keys if place == outer]
    # A key that is right but for its place, or nearly right.
    near = ["".join(parts) for parts in keys if parts[2] == last] or difflib.get_close_matches(
        key, ["".join(parts) for parts in keys], n=1
    )
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown key; the keys are {', '.join(beside)}{hint}"


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for inner in _models_in(field.annotation):
            yield from _keys(inner, f"{prefix}{name}.")


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; name a recipe in YAML")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: more than {MAX_BYTES} bytes, which no recipe has")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error


def _parse(name: str, text: str) -> dict[str, object]:
    content = _value_of(name, text)
    if not isinstance(content, _Mapping):
        raise ConfigError(f"{name}: must hold keys with values, as in 'variant: f64'")
    return content


def _value_of(name: str, text: str) -> object:
    try:
        # Nodes only: what they mean is decided here, and no object is ever made from a tag.
        root = cast("yaml.Node | None", yaml.compose(text, Loader=yaml.BaseLoader))  # pyright: ignore[reportUnknownMemberType] - half typed
        return _value(root, set()) if root is not None else None
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise ConfigError(f"{name}{line}: {error.problem}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply") from error
    # Characters that YAML bars.
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: {error}") from error


class _Mapping(dict[str, object]):
    """A mapping whose keys were found to be text, each once."""


def _value(node: yaml.Node, seen: set[int]) -> object:
    # An alias gives its anchor's node once more.
    if id(node) in seen:
        raise _at(node, "aliases are not read; write the value twice")
    seen.add(id(node))
    match node:
        case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
            return _mapping(node, seen)
        case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
            return [_value(item, seen) for item in node.value]
        case yaml.ScalarNode(tag="tag:yaml.org,2002:str"):
            return _scalar(node.value) if node.style is None else node.value
        case _:
            raise _at(node, f"the tag {node.tag} is not read")


def _mapping(node: yaml.MappingNode, seen: set[int]) -> _Mapping:
    content = _Mapping()
    for key, value in node.value:
        name = _value(key, seen)
        if not isinstance(name, str):
            raise _at(key, "a key must be text")
        if name in content:
            raise _at(key, f"the key {name[:80]!r} stands twice")
        content[name] = _value(value, seen)
    return content


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and abs(value := float(text)) < float("inf"):
        return value
    return text


def _at(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
