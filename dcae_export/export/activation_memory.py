"""Forecast the memory of a graph's activations from the graph itself."""

import math
import re

import onnx_ir as ir


def activation_bytes(model: ir.Model) -> int:
    """The bytes alive at the worst node, for one position of every named axis.

    A tensor lives from the node that makes it to the last that reads it; nothing is reused in place. In the
    graphs of this package every large tensor grows with batch * height * width, so a run needs this figure
    times those three.
    """
    nodes = list(model.graph)
    last_use = {
        value: index
        for index, node in enumerate(nodes)
        for value in node.inputs
        if value is not None
    }
    alive = {value: _bytes(value) for value in model.graph.inputs}
    worst = 0
    for index, node in enumerate(nodes):
        alive.update({value: _bytes(value) for value in node.outputs})
        worst = max(worst, sum(alive.values()))
        for value in [value for value in alive if last_use.get(value, index) <= index]:
            if value not in model.graph.outputs:
                del alive[value]
    return worst


def _bytes(value: ir.Value) -> int:
    assert value.shape is not None
    assert value.dtype is not None
    return math.ceil(math.prod(_size(dim) for dim in value.shape) * value.dtype.itemsize)


def _size(dim: int | ir.SymbolicDim) -> float:
    """A dimension for one position of its axes: "4*height" is 4."""
    if isinstance(dim, int):
        return dim
    return math.prod(int(number) for number in re.findall(r"(?<![\w.])\d+", str(dim))) or 1
