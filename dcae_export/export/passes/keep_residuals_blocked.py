"""Let ONNX Runtime keep residual chains in its blocked CPU layout."""

import onnx_ir as ir


def keep_residuals_blocked(model: ir.Model) -> None:
    """Put a 1x1 max pooling, an identity, after every pixel-shuffle that starts a residual chain, in place.

    ONNX Runtime runs convolutions in a channel-blocked layout and fuses a residual Add into the convolution
    only where both sides are blocked. A chain that starts at DepthToSpace starts plain, so each block would
    reorder its result, add and reorder again. Pooling is an operator of the blocked layout: after it the
    whole chain stays there.
    """
    graph = model.graph
    for shuffle in list(graph):
        if shuffle.op_type != "DepthToSpace" or not _starts_residual_chain(shuffle.outputs[0]):
            continue
        source = shuffle.outputs[0]
        uses = list(source.uses())
        pool = ir.node(
            "MaxPool",
            [source],
            attributes={"kernel_shape": [1, 1], "strides": [1, 1]},
            name=f"{shuffle.name}_blocked",
        )
        pooled = pool.outputs[0]
        pooled.name = f"{source.name}_blocked"
        pooled.shape, pooled.type = source.shape, source.type
        graph.insert_after(shuffle, pool)
        for use in uses:
            use.node.replace_input_with(use.idx, pooled)


def _starts_residual_chain(value: ir.Value) -> bool:
    """Whether ``value`` is added to a convolution's result."""
    for use in value.uses():
        if use.node.op_type != "Add":
            continue
        for other in use.node.inputs:
            producer = other.producer() if other is not None else None
            if producer is not None and producer.op_type == "Conv":
                return True
    return False
