"""The ONNX file by which ONNX Runtime loads a finished TensorRT engine: one EPContext node that names its file.

The numbers of the fields are those of onnx.proto. The node's attributes are those of ONNX Runtime's TensorRT provider.
"""

from dcae_export.bundle.manifest import Graph, Port
from dcae_export.runtime.small_graph import Element, Value, value_info
from dcae_export.runtime.wire_format import integer, message, text

_IR_VERSION = 8
_ELEMENTS = {
    "float32": Element.FLOAT,
    "uint8": Element.UINT8,
    "int64": Element.INT64,
    "float16": Element.FLOAT16,
    "bfloat16": Element.BFLOAT16,
}
_INT, _STRING = 2, 3  # AttributeProto.AttributeType


def engine_context(graph: Graph, *, engine: str, compute_capability: str) -> bytes:
    """The ONNX file of an engine.

    Args:
        graph: What the engine was built of; its inputs and outputs become those of the file.
        engine: The engine's file, in the folder of this one.
        compute_capability: That of its GPU, as in 9.0.
    """
    node = b"".join(
        (
            *(text(1, port.name) for port in graph.inputs),
            *(text(2, port.name) for port in graph.outputs),
            text(3, "engine"),
            text(4, "EPContext"),
            message(5, _int_attribute("main_context", 1)),
            message(5, _int_attribute("embed_mode", 0)),
            message(5, _text_attribute("ep_cache_context", engine)),
            message(
                5, _text_attribute("hardware_architecture", compute_capability.replace(".", ""))
            ),
            text(7, "com.microsoft"),
        )
    )
    body = b"".join(
        (
            message(1, node),
            text(2, "engine"),
            *(message(11, _value(port)) for port in graph.inputs),
            *(message(12, _value(port)) for port in graph.outputs),
        )
    )
    opsets = (("", graph.opset), ("com.microsoft", 1))
    return b"".join(
        (
            integer(1, _IR_VERSION),
            message(7, body),
            *(message(8, text(1, domain) + integer(2, version)) for domain, version in opsets),
        )
    )


def _value(port: Port) -> bytes:
    return value_info(Value(name=port.name, shape=port.shape, element=_ELEMENTS[port.dtype]))


def _int_attribute(name: str, value: int) -> bytes:
    return text(1, name) + integer(3, value) + integer(20, _INT)


def _text_attribute(name: str, value: str) -> bytes:
    return text(1, name) + text(4, value) + integer(20, _STRING)
