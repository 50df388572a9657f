"""Write an ONNX graph of a few nodes, without the library of that name: the runtime does without it.

The numbers are the fields of onnx.proto; a message is its fields one after the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

_IR_VERSION = 8
# The newest in which Split of equal parts needs no attribute.
_OPSET = 13
_ATTRIBUTE_IS_INT = 2


class Element(IntEnum):
    """Data types of tensors, by their numbers in ONNX."""

    FLOAT = 1
    INT64 = 7
    DOUBLE = 11


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """An input or output of the graph; of its shape only the rank is said."""

    name: str
    rank: int
    element: Element = Element.FLOAT


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One operator; of its attributes those that are integers."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Sequence[tuple[str, int]] = ()


def write_graph(
    nodes: Iterable[Node], *, inputs: Iterable[Value], outputs: Iterable[Value]
) -> bytes:
    """The .onnx file; ``nodes`` stand in an order in which they can be run."""
    graph = b"".join(
        [
            *(_bytes(1, _node(node)) for node in nodes),
            _text(2, "graph"),
            *(_bytes(11, _value(value)) for value in inputs),
            *(_bytes(12, _value(value)) for value in outputs),
        ]
    )
    return _int(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _text(1, "") + _int(2, _OPSET))


def _node(node: Node) -> bytes:
    attributes = (
        _text(1, name) + _int(3, value) + _int(20, _ATTRIBUTE_IS_INT)
        for name, value in node.attributes
    )
    return b"".join(
        [
            *(_text(1, name) for name in node.inputs),
            *(_text(2, name) for name in node.outputs),
            _text(4, node.operator),
            *(_bytes(5, attribute) for attribute in attributes),
        ]
    )


def _value(value: Value) -> bytes:
    dims = (_bytes(1, _text(2, f"{value.name}_{axis}")) for axis in range(value.rank))
    tensor = _int(1, value.element) + _bytes(2, b"".join(dims))
    return _text(1, value.name) + _bytes(2, _bytes(1, tensor))


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _int(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
