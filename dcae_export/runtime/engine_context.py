"""The ONNX file by which ONNX Runtime loads a finished TensorRT engine: one EPContext node that names its file.

Written without onnx, as protobuf's wire format (https://protobuf.dev/programming-guides/encoding/); the numbers of the
fields are those of onnx.proto. The node's attributes are those of ONNX Runtime's TensorRT provider.
"""

from dcae_export.bundle.manifest import Graph, Port

_IR_VERSION = 8
_ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int64": 7, "float16": 10, "bfloat16": 16}
_INT, _STRING = 2, 3  # AttributeProto.AttributeType
_VARINT, _BYTES = 0, 2  # Wire types.


def engine_context(graph: Graph, *, engine: str, compute_capability: str) -> bytes:
    """The ONNX file of an engine.

    Args:
        graph: What the engine was built of; its inputs and outputs become those of the file.
        engine: The engine's file, in the folder of this one.
        compute_capability: That of its GPU, as in 9.0.
    """
    node = b"".join(
        (
            *(_text(1, port.name) for port in graph.inputs),
            *(_text(2, port.name) for port in graph.outputs),
            _text(3, "engine"),
            _text(4, "EPContext"),
            _message(5, _int_attribute("main_context", 1)),
            _message(5, _int_attribute("embed_mode", 0)),
            _message(5, _text_attribute("ep_cache_context", engine)),
            _message(
                5, _text_attribute("hardware_architecture", compute_capability.replace(".", ""))
            ),
            _text(7, "com.microsoft"),
        )
    )
    body = b"".join(
        (
            _message(1, node),
            _text(2, "engine"),
            *(_message(11, _value(port)) for port in graph.inputs),
            *(_message(12, _value(port)) for port in graph.outputs),
        )
    )
    opsets = (("", graph.opset), ("com.microsoft", 1))
    return b"".join(
        (
            _number(1, _IR_VERSION),
            _message(7, body),
            *(_message(8, _text(1, domain) + _number(2, version)) for domain, version in opsets),
        )
    )


def _value(port: Port) -> bytes:
    """A ValueInfoProto."""
    dims = b"".join(
        _message(1, _number(1, dim) if isinstance(dim, int) else _text(2, dim))
        for dim in port.shape
    )
    tensor = _number(1, _ELEMENT_TYPES[port.dtype]) + _message(2, dims)
    return _text(1, port.name) + _message(2, _message(1, tensor))


def _int_attribute(name: str, value: int) -> bytes:
    return _text(1, name) + _number(3, value) + _number(20, _INT)


def _text_attribute(name: str, value: str) -> bytes:
    return _text(1, name) + _text(4, value) + _number(20, _STRING)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    pieces = bytearray()
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)
