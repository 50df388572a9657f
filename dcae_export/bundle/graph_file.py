"""Look into an ONNX file's bytes before any ONNX library does.

A walk over protobuf's wire format. What a walker and a parser could read differently (a repeated field
that must be single, a field or key that ONNX does not define) is an error, so that nothing hides there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from dcae_export.errors import BundleError

# As deep as protobuf's own limit of a hundred messages allows graphs to nest: three messages a level.
MAX_GRAPH_DEPTH = 32
# A graph of ours has about thirty fields a node and below ten thousand nodes.
MAX_FIELDS = 2_000_000

# fmt: off
ALLOWED_OPERATORS = frozenset({
    "Add", "Attention", "BatchNormalization", "Cast", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Conv", "Cos", "DepthToSpace", "Div", "Equal", "Erf", "Exp", "Expand",
    "Flatten", "Floor", "Gather", "Gelu", "Gemm", "GroupNormalization", "Identity",
    "InstanceNormalization", "LayerNormalization", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "Pad",
    "Pow", "RMSNormalization", "Reciprocal", "ReduceL2", "ReduceMean", "ReduceSum",
    "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "Shape", "Sigmoid", "Sin", "Slice",
    "Softmax", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Swish", "Tanh", "Tile",
    "Transpose", "Unsqueeze", "Where",
})
# fmt: on
"""Operators of ONNX's own domain that a bundle may use: none reads a file, draws at random or branches."""


@dataclass(frozen=True, slots=True)
class ExternalData:
    """Where a weight's bytes lie; ``length`` is None where the file leaves it to the weight's shape."""

    location: str
    offset: int
    length: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphScan:
    """What an ONNX file refers to, subgraphs and functions included; the domain "ai.onnx" reads ""."""

    external: tuple[ExternalData, ...]
    operators: frozenset[tuple[str, str]]
    metadata: dict[str, str]
    opsets: dict[str, int]


def scan(model: bytes) -> GraphScan:
    """Read an ONNX file's references, operators, metadata and operator sets.

    Raises:
        BundleError: The bytes are no ONNX model, or are one that two parsers could read differently.
    """
    # ONNX Runtime takes bytes with this mark for its own format, whatever else they are.
    if model[4:8] == b"ORTM":
        raise BundleError("marked as ONNX Runtime's own format; a bundle holds ONNX files")
    return _Walk().model(memoryview(model))


@dataclass(frozen=True, slots=True)
class _Message:
    """The field numbers of an ONNX message: those read, at most once or often, and those passed over."""

    name: str
    one: frozenset[int]
    many: frozenset[int] = frozenset()
    passed: frozenset[int] = frozenset()
    number: frozenset[int] = frozenset()


def _message(
    name: str,
    *,
    one: tuple[int, ...] = (),
    many: tuple[int, ...] = (),
    passed: tuple[int, ...] = (),
    number: tuple[int, ...] = (),
) -> _Message:
    return _Message(name, frozenset(one), frozenset(many), frozenset(passed), frozenset(number))


# Field numbers of onnx.proto, IR version 13.
_MODEL = _message("model", one=(7,), many=(8, 14, 20, 25), passed=(1, 2, 3, 4, 5, 6, 26))
_GRAPH = _message("graph", many=(1, 5, 15), passed=(2, 10, 11, 12, 13, 14, 16))
_NODE = _message("node", one=(4, 7), many=(5,), passed=(1, 2, 3, 6, 8, 9, 10))
_ATTRIBUTE = _message(
    "attribute",
    one=(5, 6, 22),
    many=(10, 11, 23),
    passed=(1, 2, 3, 4, 7, 8, 9, 13, 14, 15, 20, 21),
)
_TENSOR = _message("tensor", many=(13,), passed=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16))
_SPARSE_TENSOR = _message("sparse tensor", one=(1, 2), passed=(3,))
_TRAINING = _message("training info", one=(1, 2), passed=(3, 4))
_FUNCTION = _message("function", many=(7, 11), passed=(1, 4, 5, 6, 8, 9, 10, 12, 13, 14))
_ENTRY = _message("text entry", one=(1, 2))
_OPSET = _message("operator set", one=(1,), number=(2,))

_EXTERNAL_KEYS = {"location", "offset", "length", "checksum"}
_LENGTH_DELIMITED = 2


class _Fields:
    """The fields of one message that are read."""

    def __init__(self, message: _Message) -> None:
        self._message = message
        self._values: dict[int, list[memoryview]] = {}

    def add(self, number: int, wire: int, value: memoryview) -> None:
        message = self._message
        if number in message.passed:
            return
        if number not in message.one | message.many | message.number:
            raise BundleError(f"{message.name} has an unknown field {number}")
        if wire != (0 if number in message.number else _LENGTH_DELIMITED):
            raise BundleError(f"{message.name} has a malformed field {number}")
        values = self._values.setdefault(number, [])
        if values and number not in message.many:
            raise BundleError(f"{message.name} repeats field {number}")
        values.append(value)

    def all(self, *numbers: int) -> Iterator[memoryview]:
        for number in numbers:
            yield from self._values.get(number, ())

    def text(self, number: int) -> str:
        try:
            return "".join(str(value, "utf-8") for value in self.all(number))
        except UnicodeDecodeError as error:
            raise BundleError(f"{self._message.name} has text that is not UTF-8") from error

    def number(self, number: int) -> int:
        return next((_varint(value, 0)[0] for value in self.all(number)), 0)


@dataclass(slots=True)
class _Walk:
    """One pass over a file: what was found, and how many fields that took."""

    external: list[ExternalData] = field(default_factory=list[ExternalData])
    operators: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    num_fields: int = 0

    def model(self, data: memoryview) -> GraphScan:
        fields = self._read(data, _MODEL)
        opsets = self._opsets(fields)
        metadata = self._entries(fields.all(14), "metadata")
        for part in fields.all(7):
            self._graph(part, 1)
        for part in fields.all(20):
            for graph in self._read(part, _TRAINING).all(1, 2):
                self._graph(graph, 1)
        for part in fields.all(25):
            self._function(part)
        return GraphScan(
            external=tuple(self.external),
            operators=frozenset(self.operators),
            metadata=metadata,
            opsets=opsets,
        )

    def _read(self, data: memoryview, message: _Message) -> _Fields:
        fields = _Fields(message)
        for number, wire, value in _records(data):
            self.num_fields += 1
            if self.num_fields > MAX_FIELDS:
                raise BundleError(f"has more than {MAX_FIELDS} fields")
            fields.add(number, wire, value)
        return fields

    def _graph(self, data: memoryview, depth: int) -> None:
        if depth > MAX_GRAPH_DEPTH:
            raise BundleError(f"graphs are nested more than {MAX_GRAPH_DEPTH} deep")
        fields = self._read(data, _GRAPH)
        for node in fields.all(1):
            self._node(node, depth)
        for tensor in fields.all(5):
            self._tensor(tensor)
        for tensor in fields.all(15):
            self._sparse_tensor(tensor)

    def _function(self, data: memoryview) -> None:
        fields = self._read(data, _FUNCTION)
        for node in fields.all(7):
            self._node(node, 1)
        for attribute in fields.all(11):
            self._attribute(attribute, 1)

    def _node(self, data: memoryview, depth: int) -> None:
        fields = self._read(data, _NODE)
        self.operators.add((_domain(fields.text(7)), fields.text(4)))
        for attribute in fields.all(5):
            self._attribute(attribute, depth)

    def _attribute(self, data: memoryview, depth: int) -> None:
        fields = self._read(data, _ATTRIBUTE)
        for tensor in fields.all(5, 10):
            self._tensor(tensor)
        for tensor in fields.all(22, 23):
            self._sparse_tensor(tensor)
        for graph in fields.all(6, 11):
            self._graph(graph, depth + 1)

    def _sparse_tensor(self, data: memoryview) -> None:
        for tensor in self._read(data, _SPARSE_TENSOR).all(1, 2):
            self._tensor(tensor)

    def _tensor(self, data: memoryview) -> None:
        # Whatever data_location says: a parser that ignores it would read the file.
        entries = self._entries(self._read(data, _TENSOR).all(13), "external data")
        if entries:
            self.external.append(_external_data(entries))

    def _entries(self, parts: Iterator[memoryview], what: str) -> dict[str, str]:
        entries: dict[str, str] = {}
        for part in parts:
            fields = self._read(part, _ENTRY)
            key = fields.text(1)
            if key in entries:
                raise BundleError(f"{what} has the key {key[:80]!r} twice")
            entries[key] = fields.text(2)
        return entries

    def _opsets(self, fields: _Fields) -> dict[str, int]:
        opsets: dict[str, int] = {}
        for part in fields.all(8):
            opset = self._read(part, _OPSET)
            domain = _domain(opset.text(1))
            if domain in opsets:
                raise BundleError(f"imports operator set {domain[:80]!r} twice")
            opsets[domain] = opset.number(2)
        return opsets


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _external_data(entries: dict[str, str]) -> ExternalData:
    unknown = sorted(set(entries) - _EXTERNAL_KEYS)
    if unknown:
        raise BundleError(f"external data has an unknown key {unknown[0][:80]!r}")
    if "location" not in entries:
        raise BundleError("external data has no location")
    length = _size(entries["length"]) if "length" in entries else None
    return ExternalData(entries["location"], _size(entries.get("offset", "0")), length)


def _size(text: str) -> int:
    # Eighteen digits fit every parser's 64 bits; a sign, a space or another script's digits do not pass.
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BundleError(f"external data has the size {text[:80]!r}")
    return int(text)


def _records(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """The fields of a message: number, wire type, and the value's bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        start, end = _extent(data, position, wire)
        if end > len(data):
            raise BundleError("ends inside a field; the file is truncated or no ONNX file")
        yield number, wire, data[start:end]
        position = end


def _extent(data: memoryview, position: int, wire: int) -> tuple[int, int]:
    match wire:
        case 0:
            return position, _varint(data, position)[1]
        case 1:
            return position, position + 8
        case 2:
            size, start = _varint(data, position)
            return start, start + size
        case 5:
            return position, position + 4
        case _:
            raise BundleError(f"has a field of wire type {wire}; the file is no ONNX file")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= len(data):
            raise BundleError("ends inside a number; the file is truncated or no ONNX file")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise BundleError("has a number of more than ten bytes; the file is no ONNX file")
