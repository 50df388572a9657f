"""Hold every float16 tensor of a saved graph to float16's range, node by node.

ONNX Runtime's CPU provider computes float16 graphs in float32 and so shows no overflow. Here that is put to use: a
copy of the graph that is float32 throughout, by type, gives beside its outputs how far each tensor reaches that the
graph itself has in float16. The copy reads the saved file's own weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Port
from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import ParityError
from dcae_export.export.gate import Case
from dcae_export.export.mixed_precision import beyond
from dcae_export.export.precision_plan import FLOAT16_MAX
from dcae_export.parity import difference, tolerance_of
from dcae_export.runtime.session import Session

_RANGES = "float16_ranges"
_HALF, _SINGLE = ir.DataType.FLOAT16, ir.DataType.FLOAT


@dataclass(frozen=True, kw_only=True, slots=True)
class WideCopy:
    """The float32 copy of a float16 graph; ``nodes`` say where each of its ranges comes from."""

    session: Session
    nodes: tuple[str, ...]

    def run(
        self, inputs: Mapping[str, NDArray[np.generic]]
    ) -> tuple[dict[str, NDArray[np.generic]], dict[str, float]]:
        """The graph's outputs, and the largest absolute value at each node that is float16 in the graph."""
        outputs = self.session.run(inputs)
        found = outputs.pop(_RANGES)
        return outputs, dict(zip(self.nodes, found.astype(float).tolist(), strict=True))


def wide_copy(files: GraphFiles) -> WideCopy:
    """Make the float32 copy of a saved float16 graph.

    Raises:
        ParityError: A weight is not finite in float16.
        BundleError: ONNX Runtime does not accept the copy.
        ResourceError: The weights do not fit in memory.
    """
    model: ir.Model = ir.load(files.path)  # pyright: ignore[reportUnknownMemberType] - half typed
    _check_weights(model, files)
    probed = _widen(model)
    _probe(model.graph, probed)
    ranges = Port(name=_RANGES, dtype="float32", shape=(len(probed),))
    graph = files.graph.model_copy(update={"outputs": (*files.graph.outputs, ranges)})
    copy = GraphFiles(
        model=ir.to_proto(model).SerializeToString(),
        path=files.path,
        data=files.data,
        graph=graph,
    )
    return WideCopy(session=Session(copy), nodes=tuple(map(_label, probed)))


def judge_mixed(
    files: GraphFiles, cases: Sequence[Case], rounded: Sequence[NDArray[np.generic]]
) -> None:
    """Check a saved float16 graph on its cases, and on inputs beyond them.

    In float32 it has to compute what the module does in float32 with its weights rounded to float16. That is held to
    float32's tolerance, which sees a lost bias where float16's own does not.

    Args:
        files: The saved graph.
        cases: The inputs.
        rounded: The module's outputs for them.

    Raises:
        ParityError: A tensor or weight leaves the range of float16 (the message names the first node), or an output
            differs.
        BundleError: ONNX Runtime does not accept the copy.
        ResourceError: Not enough memory.
    """
    copy = wide_copy(files)
    file = files.path.name
    for case, expected in zip(cases, rounded, strict=True):
        ((output, actual),) = check_ranges(copy, case.inputs, file=file).items()
        found = difference(actual, expected)
        tolerance = tolerance_of(output, expected.dtype.name, precision="fp32")
        if not found.within(tolerance):
            raise ParityError(
                f"{file}: {case.label}: is not the module with its weights in float16: {found}; "
                f"allowed are {tolerance}"
            )
        wider = {name: value.numpy() for name, value in beyond(case.tensors()).items()}
        check_ranges(copy, wider, file=file)


def check_ranges(
    copy: WideCopy, inputs: Mapping[str, NDArray[np.generic]], *, file: str
) -> dict[str, NDArray[np.generic]]:
    """Run the copy and check every range.

    Returns:
        The graph's outputs, of float32 throughout.

    Raises:
        ParityError: A tensor leaves the range of float16; the message names the node that makes it first.
    """
    outputs, ranges = copy.run(inputs)
    for node, most in ranges.items():
        if not most <= FLOAT16_MAX:
            raise ParityError(
                f"{file}: {node} reaches {most:.4g}, and float16 ends at {FLOAT16_MAX:.0f}; export it with "
                "--precision fp32"
            )
    return outputs


def _check_weights(model: ir.Model, files: GraphFiles) -> None:
    for name, value in model.graph.initializers.items():
        weight = value.const_value
        if weight is not None and weight.dtype is _HALF and not np.isfinite(weight.numpy()).all():
            raise ParityError(f"{files.path.name}: {name} has values that float16 does not hold")


def _widen(model: ir.Model) -> list[ir.Value]:
    """Make everything float32, in place; returns what was float16 and is made by a node, in order."""
    graph = model.graph
    nodes = list(graph)
    halves = [value for node in nodes for value in node.outputs if value.dtype is _HALF]
    weights = [value for value in graph.initializers.values() if value.dtype is _HALF]
    for value in [*weights, *(value for value in halves if _is_constant(value))]:
        _cast_for_readers(graph, value, before=nodes[0])
    halves = [value for value in halves if not _is_constant(value)]
    for value in halves:
        value.type = ir.TensorType(_SINGLE)
        maker = value.producer()
        if maker is not None and maker.op_type == "Cast":
            maker.attributes["to"] = ir.AttrInt64("to", int(_SINGLE))
    return halves


def _is_constant(value: ir.Value) -> bool:
    maker = value.producer()
    return maker is not None and maker.op_type == "Constant"


def _cast_for_readers(graph: ir.Graph, value: ir.Value, *, before: ir.Node) -> None:
    readers = list(value.uses())
    cast = ir.node("Cast", [value], attributes={"to": int(_SINGLE)}, name=f"widened_{value.name}")
    cast.outputs[0].name = f"widened_{value.name}"
    cast.outputs[0].type, cast.outputs[0].shape = ir.TensorType(_SINGLE), value.shape
    maker = value.producer()
    if maker is None:
        graph.insert_before(before, cast)
    else:
        graph.insert_after(maker, cast)
    for use in readers:
        use.node.replace_input_with(use.idx, cast.outputs[0])


def _probe(graph: ir.Graph, values: Sequence[ir.Value]) -> None:
    """Give the graph one more output: the largest absolute value of each of ``values``."""
    one = ir.Value(
        name=f"{_RANGES}_shape",
        shape=ir.Shape([1]),
        type=ir.TensorType(ir.DataType.INT64),
        const_value=ir.tensor([1], dtype=ir.DataType.INT64, name=f"{_RANGES}_shape"),
    )
    graph.register_initializer(one)
    numbers = [_largest(graph, value, one) for value in values]
    concat = ir.node("Concat", numbers, attributes={"axis": 0}, name=_RANGES)
    concat.outputs[0].name = _RANGES
    concat.outputs[0].type = ir.TensorType(_SINGLE)
    concat.outputs[0].shape = ir.Shape([len(numbers)])
    graph.append(concat)
    graph.outputs.append(concat.outputs[0])


def _largest(graph: ir.Graph, value: ir.Value, one: ir.Value) -> ir.Value:
    """Max |value|, of shape (1,), computed right behind the node that makes it: no tensor has to wait."""
    maker = value.producer()
    assert maker is not None
    absolute = ir.node("Abs", [value])
    largest = ir.node("ReduceMax", [absolute.outputs[0]], attributes={"keepdims": 0})
    number = ir.node("Reshape", [largest.outputs[0], one])
    for node in (absolute, largest, number):
        node.name = node.outputs[0].name = f"{node.op_type}_of_{value.name}"
    graph.insert_after(maker, [absolute, largest, number])
    return number.outputs[0]


def _label(value: ir.Value) -> str:
    maker = value.producer()
    assert maker is not None
    return f"{maker.op_type} at {maker.name or value.name}"
