"""Give every reshape a constant target, or one shared Shape per grid where no constant can say it."""

from collections.abc import Sequence

import onnx_ir as ir

NUM_AXES = 4  # batch, channels, height, width


def make_reshapes_constant(model: ir.Model) -> None:
    """Remove the Shape, Gather, Mul and Concat chains that compute the targets of reshapes, in place.

    A target's dimension is written as its number, as 0 (copied from the input at the same place) or as -1
    (what is left). Where two are left (a sequence back to its grid), the target is the Shape of the first
    tensor in the graph that has the very shape, one for each grid: a chain per block becomes one node. Attention
    at several scales has channels that no other tensor has: there one Concat joins them to the grid.
    """
    graph = model.graph
    for node in graph:
        if node.op_type != "Reshape" or _is_constant(node.inputs[1]):
            continue
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        assert source.shape is not None
        assert result.shape is not None
        dims = _reshape_dims(source.shape, result.shape)
        target = _grid_target(graph, node) if dims is None else _constant(graph, dims)
        if target is not None:
            node.replace_input_with(1, target)
            # torch writes allowzero=1, with which a 0 would be a size and not a copy.
            node.attributes.pop("allowzero", None)


def _is_constant(value: ir.Value | None) -> bool:
    assert value is not None
    return value.const_value is not None


def _reshape_dims(source: ir.Shape, result: ir.Shape) -> list[int] | None:
    dims: list[int] = []
    for place, dim in enumerate(result):
        if isinstance(dim, int):
            dims.append(dim)
        elif place < len(source) and _same_dim(source[place], dim):
            dims.append(0)
        else:
            dims.append(-1)
    return dims if dims.count(-1) <= 1 else None


def _constant(graph: ir.Graph, dims: list[int]) -> ir.Value:
    name = "reshape_" + "_".join(str(dim).replace("-", "m") for dim in dims)
    if name not in graph.initializers:
        tensor = ir.tensor(dims, dtype=ir.DataType.INT64, name=name)
        graph.initializers[name] = ir.Value(
            name=name,
            shape=ir.Shape([len(dims)]),
            type=ir.TensorType(ir.DataType.INT64),
            const_value=tensor,
        )
    return graph.initializers[name]


def _grid_target(graph: ir.Graph, reshape: ir.Node) -> ir.Value | None:
    """The target of a reshape whose result has two dimensions that only another tensor knows."""
    source, result = reshape.inputs[0], reshape.outputs[0]
    assert source is not None
    assert source.shape is not None
    assert result.shape is not None
    dims = list(result.shape)
    keeps_batch = _same_dim(dims[0], source.shape[0])
    twin = _earliest(graph, reshape, dims)
    if twin is not None:
        maker = twin.producer()
        if maker is not None and maker.op_type == "Reshape" and keeps_batch:
            return maker.inputs[1]
        return _shape(graph, twin, start=0)
    # No tensor has these channels: the grid alone comes from another tensor, behind what a constant can say.
    twin = _earliest(graph, reshape, [None, None, *dims[2:]])
    if len(dims) != NUM_AXES or not keeps_batch or twin is None or not isinstance(dims[1], int):
        return None
    parts = [_constant(graph, [0, dims[1]]), _shape(graph, twin, start=2)]
    concat = ir.node("Concat", parts, attributes={"axis": 0}, name=f"{reshape.name}_target")
    concat.outputs[0].name = f"{reshape.name}_target"
    concat.outputs[0].shape = ir.Shape([NUM_AXES])
    concat.outputs[0].type = ir.TensorType(ir.DataType.INT64)
    graph.insert_before(reshape, concat)
    return concat.outputs[0]


def _earliest(
    graph: ir.Graph, reshape: ir.Node, dims: Sequence[int | ir.SymbolicDim | None]
) -> ir.Value | None:
    """The first tensor that a node before ``reshape`` makes with these dimensions; None is any."""
    for node in graph:
        if node is reshape:
            return None
        for value in node.outputs:
            if value.shape is not None and len(value.shape) == len(dims):
                pairs = zip(value.shape, dims, strict=True)
                if all(dim is None or _same_dim(own, dim) for own, dim in pairs):
                    return value
    return None


def _shape(graph: ir.Graph, value: ir.Value, *, start: int) -> ir.Value:
    """The Shape of ``value`` from dimension ``start`` on: one node, however often it is asked for."""
    producer = value.producer()
    assert producer is not None
    assert value.shape is not None
    for node in [use.node for use in value.uses() if use.node.op_type == "Shape"]:
        if "end" not in node.attributes and node.attributes.get_int("start", 0) == start:
            graph.insert_after(producer, node)  # It may stand behind its new reader: move it.
            return node.outputs[0]
    name = f"shape_{start}_of_{value.name}"
    attributes = {"start": start} if start else {}
    shape = ir.node("Shape", [value], attributes=attributes, name=name)
    shape.outputs[0].name = name
    shape.outputs[0].shape = ir.Shape([len(value.shape) - start])
    shape.outputs[0].type = ir.TensorType(ir.DataType.INT64)
    graph.insert_after(producer, shape)
    return shape.outputs[0]


def _same_dim(dim: int | ir.SymbolicDim, other: int | ir.SymbolicDim) -> bool:
    """Whether both are the same number or expression; two unnamed dimensions may differ."""
    unnamed = isinstance(dim, ir.SymbolicDim) and dim.value is None
    return not unnamed and str(dim) == str(other)
