"""Give every reshape a constant target, or one shared Shape per grid where no constant can say it."""

import onnx_ir as ir


def constant_reshapes(model: ir.Model) -> None:
    """Remove the Shape, Gather, Mul and Concat chains that compute the targets of reshapes, in place.

    A target's dimension is written as its number, as 0 (copied from the input at the same place) or as -1
    (what is left). Where two are left (a sequence back to its grid), the target is the Shape of the first
    tensor in the graph that has the very shape, one for each grid: a chain per block becomes one node.
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
        target = _shape_of_twin(graph, node) if dims is None else _constant(graph, dims)
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


def _shape_of_twin(graph: ir.Graph, reshape: ir.Node) -> ir.Value | None:
    """The Shape of the earliest tensor whose shape equals that of ``reshape``'s result."""
    result = reshape.outputs[0]
    for node in graph:
        if node is reshape:
            return None
        twin = next((out for out in node.outputs if _same_shape(out, result)), None)
        if twin is not None:
            break
    else:
        return None
    producer = twin.producer()
    assert producer is not None
    for use in twin.uses():
        if use.node.op_type == "Shape" and not use.node.attributes:
            graph.insert_after(producer, use.node)  # It may stand behind this reshape: move it.
            return use.node.outputs[0]
    assert result.shape is not None
    shape = ir.node("Shape", [twin], name=f"shape_of_{twin.name}")
    shape.outputs[0].name = f"shape_of_{twin.name}"
    shape.outputs[0].shape = ir.Shape([len(result.shape)])
    shape.outputs[0].type = ir.TensorType(ir.DataType.INT64)
    graph.insert_after(producer, shape)
    return shape.outputs[0]


def _same_shape(value: ir.Value, other: ir.Value) -> bool:
    if value.shape is None or other.shape is None or len(value.shape) != len(other.shape):
        return False
    return all(_same_dim(a, b) for a, b in zip(value.shape, other.shape, strict=True))


def _same_dim(dim: int | ir.SymbolicDim, other: int | ir.SymbolicDim) -> bool:
    """Whether both are the same number or expression; two unnamed dimensions may differ."""
    unnamed = isinstance(dim, ir.SymbolicDim) and dim.value is None
    return not unnamed and str(dim) == str(other)
