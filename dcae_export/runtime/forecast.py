"""What running a graph needs, known from the manifest before anything is loaded."""

import math
from collections.abc import Mapping

import numpy as np

from dcae_export.bundle.manifest import Graph, Manifest
from dcae_export.runtime.provider import Provider

# A tensor may stand in the plain and in the blocked layout at once; an attention matrix has the plain one only.
_LAYOUTS = 2
# Bytes of a float32 for each of a float16.
_WIDENED = 2


def widening(graph: Graph, provider: Provider) -> int:
    """How many times the bytes that a bundle states a graph takes at most where ``provider`` runs it.

    On the processor ONNX Runtime computes float16 in float32: weights when they are loaded, activations in the run.
    """
    return _WIDENED if graph.precision == "fp16" and provider is Provider.CPU else 1


def weight_bytes(manifest: Manifest, graph: Graph, *, provider: Provider) -> int:
    """The bytes of a graph's weights in memory: those of its files, or what the provider makes of them."""
    stored = sum(manifest.files[path].bytes for path in (graph.path, *graph.data))
    return widening(graph, provider) * stored


def run_bytes(graph: Graph, axes: Mapping[str, int], *, provider: Provider) -> int:
    """The bytes of a run beside the weights, for values of the graph's named axes.

    A sum, because the arena keeps what convolutions have freed, in pieces too small for an attention matrix. At
    least what the inputs and outputs take, whatever the manifest says. Attention matrices are not widened: softmax
    is float32 in every precision.
    """
    batch, positions = axes.get("batch", 1), axes.get("height", 1) * axes.get("width", 1)
    arrays = sum(
        np.dtype(port.dtype).itemsize * math.prod(port.resolve(axes))
        for port in (*graph.inputs, *graph.outputs)
    )
    stated = widening(graph, provider) * graph.activation_bytes
    activations = max(batch * stated * positions, arrays)
    return _LAYOUTS * activations + batch * graph.attention_bytes * positions**2
