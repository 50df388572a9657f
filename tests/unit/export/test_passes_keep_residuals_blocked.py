"""The pass that keeps residual chains in the blocked layout."""

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dcae_export.export.passes.keep_residuals_blocked import keep_residuals_blocked


def _model(*, residual: bool) -> ir.Model:
    """Pixel-shuffle, convolution and, with ``residual``, the sum of both."""
    weight = np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("DepthToSpace", ["x"], ["s"], name="shuffle", blocksize=2, mode="CRD"),
        helper.make_node("Conv", ["s", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node(
            *(("Add", ["s", "c"]) if residual else ("Relu", ["c"])), ["y"], name="end"
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 6, 8])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return ir.from_proto(model)


def _run(model: ir.Model) -> np.ndarray:
    x = np.random.default_rng(1).standard_normal((1, 8, 3, 4)).astype(np.float32)
    (y,) = ReferenceEvaluator(ir.to_proto(model)).run(None, {"x": x})
    return y


def test_a_residual_chain_starts_with_an_identity_pooling_and_computes_the_same() -> None:
    model = _model(residual=True)
    expected = _run(model)
    keep_residuals_blocked(model)
    kinds = [node.op_type for node in model.graph]
    assert kinds == ["DepthToSpace", "MaxPool", "Conv", "Add"]
    np.testing.assert_array_equal(_run(model), expected)


def test_a_shuffle_without_a_residual_stays_as_it_is() -> None:
    model = _model(residual=False)
    keep_residuals_blocked(model)
    assert "MaxPool" not in [node.op_type for node in model.graph]
