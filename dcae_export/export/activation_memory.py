"""Forecast the memory of a graph's activations from the graph itself."""

import math
import re
from collections.abc import Callable

import onnx_ir as ir


def activation_bytes(model: ir.Model) -> int:
    """The bytes alive at the worst node, for one position of every named axis; attention matrices left out.

    A tensor lives from the node that makes it to the last that reads it; nothing is reused in place. In the
    graphs of this package every large tensor but an attention matrix grows with batch * height * width, so a
    run needs this figure times those three.
    """
    return _worst(model, lambda value: not (_is_matrix(value) or _is_scores(value)))


def attention_bytes(model: ir.Model) -> int:
    """The bytes of attention matrices alive at the worst node, for one pair of positions of one picture.

    They grow with batch * (height * width) ** 2. A softmax writes over the scores that it reads: one matrix
    stands for both. In a mixed graph both are float32, and what Casts make them from and of in float16 are matrices
    of their own.
    """
    return _worst(model, _is_matrix)


def _is_matrix(value: ir.Value) -> bool:
    """Whether it is a softmax, what a Cast makes of one, or what a Cast makes scores from."""
    maker = value.producer()
    narrowed = maker.inputs[0] if maker is not None and maker.op_type == "Cast" else None
    widened = [use.node.outputs[0] for use in value.uses() if use.node.op_type == "Cast"]
    return _is_softmax(value) or _is_softmax(narrowed) or any(map(_is_scores, widened))


def _is_softmax(value: ir.Value | None) -> bool:
    maker = None if value is None else value.producer()
    return maker is not None and maker.op_type == "Softmax"


def _is_scores(value: ir.Value) -> bool:
    return any(use.node.op_type == "Softmax" for use in value.uses())


def _worst(model: ir.Model, counts: Callable[[ir.Value], bool]) -> int:
    nodes = list(model.graph)
    last_use = {
        value: index
        for index, node in enumerate(nodes)
        for value in node.inputs
        if value is not None
    }
    alive = {value: _bytes(value) for value in model.graph.inputs if counts(value)}
    worst = 0
    for index, node in enumerate(nodes):
        alive.update({value: _bytes(value) for value in node.outputs if counts(value)})
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
    # A slice of a table ends at "Min(1024, height)": the table's length bounds a size, and is no factor of it.
    text = re.sub(r"Min\(\d+, ([^()]*)\)", r"\1", str(dim))
    return math.prod(int(number) for number in re.findall(r"(?<![\w.])\d+", text)) or 1
