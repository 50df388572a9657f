"""Which provider runs each node of a graph: ONNX Runtime gives the CPU what the asked provider has no kernel for."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RECORD_PLACEMENT = "session.record_ep_graph_assignment_info"
# What a GPU was asked for. The arithmetic of shapes stays on the CPU on purpose, and is fast there.
_COMPUTE = frozenset(
    {
        "Attention",
        "BiasGelu",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "Einsum",
        "Erf",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gelu",
        "Gemm",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "MatMul",
        "MultiHeadAttention",
        "RMSNormalization",
        "ReduceMean",
        "Relu",
        "Resize",
        "Sigmoid",
        "SimplifiedLayerNormalization",
        "SkipLayerNormalization",
        "Softmax",
        "SpaceToDepth",
        "Tanh",
    }
)


def placed_nodes(session: "InferenceSession") -> dict[str, Counter[str]]:
    """The operators of each provider, counted; for a session that was opened with ``RECORD_PLACEMENT``."""
    placed: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        operators = placed.setdefault(part.ep_name, Counter())
        operators.update(node.op_type for node in part.get_nodes())
    return placed


def left_to_cpu(placed: Mapping[str, Counter[str]], *, cpu: str) -> list[str]:
    """The operators that compute and were left to the provider ``cpu``, the most frequent first."""
    return [name for name, _ in placed.get(cpu, Counter()).most_common() if name in _COMPUTE]
