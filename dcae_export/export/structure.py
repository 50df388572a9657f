"""What a finished graph must not contain."""

import onnx_ir as ir

from dcae_export.errors import ExportError

# SpaceToDepth orders channels otherwise than pixel_unshuffle does, and PyTorch's exporter once wrote it for
# that without a warning. Our downsampling folds into convolutions, so any that appears is unproven.
FORBIDDEN = frozenset({"SpaceToDepth", "BatchNormalization", "Loop", "If", "Scan"})
MAX_RANK = 4
# Sums over many numbers, quotients with a small epsilon, angles up to 1000 and powers: islands of float32.
_NEEDS_FLOAT32 = frozenset(
    {
        "ReduceMean",
        "ReduceSum",
        "ReduceSumSquare",
        "ReduceL2",
        "Softmax",
        "Div",
        "Reciprocal",
        "Pow",
        "Sin",
        "Cos",
    }
)
# Their sums are float32 by the attribute stash_type, whatever comes in.
_NORMS = frozenset({"LayerNormalization", "RMSNormalization"})


def check_structure(model: ir.Model, *, name: str) -> None:
    """Check the operators and ranks of ``model``.

    Raises:
        ExportError: A forbidden operator, a tensor of more than four dimensions, or an operator in float16 that
            needs float32.
    """
    for node in model.graph.all_nodes():
        _check_island(node, name=name)
        if node.op_type in FORBIDDEN or node.domain:
            where = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise ExportError(f"{name}: operator {where} at {node.name} must not be in a graph")
        for value in node.outputs:
            if value.shape is not None and len(value.shape) > MAX_RANK:
                raise ExportError(
                    f"{name}: {node.op_type} at {node.name} makes {len(value.shape)} dimensions"
                )


def _check_island(node: ir.Node, *, name: str) -> None:
    halves = any(value is not None and value.dtype is ir.DataType.FLOAT16 for value in node.inputs)
    sums_in_half = node.op_type in _NORMS and node.attributes.get_int("stash_type", 1) != 1
    if halves and (node.op_type in _NEEDS_FLOAT32 or sums_in_half):
        raise ExportError(f"{name}: {node.op_type} at {node.name} is in float16 and needs float32")
