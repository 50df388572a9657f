"""Write an ONNX graph of a few nodes, without the library of that name: the runtime does without it.

The numbers are the fields of onnx.proto.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dcae_export.runtime.wire_format import integer, message, text

_IR_VERSION = 8
# The newest in which Split of equal parts needs no attribute.
_OPSET = 13
_ATTRIBUTE_IS_INT = 2


class Element(IntEnum):
    """Data types of tensors, by their numbers in ONNX."""

    FLOAT = 1
    UINT8 = 2
    INT64 = 7
    FLOAT16 = 10
    DOUBLE = 11
    BFLOAT16 = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """An input or output of the graph; an axis of any size has a name."""

    name: str
    shape: Sequence[int | str]
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
            *(message(1, _node(node)) for node in nodes),
            text(2, "graph"),
            *(message(11, value_info(value)) for value in inputs),
            *(message(12, value_info(value)) for value in outputs),
        ]
    )
    return (
        integer(1, _IR_VERSION) + message(7, graph) + message(8, text(1, "") + integer(2, _OPSET))
    )


def value_info(value: Value) -> bytes:
    """A ValueInfoProto."""
    dims = (
        message(1, integer(1, dim) if isinstance(dim, int) else text(2, dim)) for dim in value.shape
    )
    tensor = integer(1, value.element) + message(2, b"".join(dims))
    return text(1, value.name) + message(2, message(1, tensor))


def _node(node: Node) -> bytes:
    attributes = (
        text(1, name) + integer(3, value) + integer(20, _ATTRIBUTE_IS_INT)
        for name, value in node.attributes
    )
    return b"".join(
        [
            *(text(1, name) for name in node.inputs),
            *(text(2, name) for name in node.outputs),
            text(4, node.operator),
            *(message(5, attribute) for attribute in attributes),
        ]
    )
