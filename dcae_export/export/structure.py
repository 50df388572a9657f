"""What a finished graph must not contain."""

import onnx_ir as ir

from dcae_export.errors import ExportError

# SpaceToDepth orders channels otherwise than pixel_unshuffle does, and PyTorch's exporter once wrote it for
# that without a warning. Our downsampling folds into convolutions, so any that appears is unproven.
FORBIDDEN = frozenset({"SpaceToDepth", "BatchNormalization", "Loop", "If", "Scan"})
MAX_RANK = 4


def check_structure(model: ir.Model, *, name: str) -> None:
    """Check the operators and ranks of ``model``.

    Raises:
        ExportError: A forbidden operator, or a tensor of more than four dimensions.
    """
    for node in model.graph.all_nodes():
        if node.op_type in FORBIDDEN or node.domain:
            where = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise ExportError(f"{name}: operator {where} at {node.name} must not be in a graph")
        for value in node.outputs:
            if value.shape is not None and len(value.shape) > MAX_RANK:
                raise ExportError(
                    f"{name}: {node.op_type} at {node.name} makes {len(value.shape)} dimensions"
                )
