"""What running a graph needs, known from the manifest before anything is loaded."""

import math
from collections.abc import Mapping

import numpy as np

from dcae_export.bundle.manifest import Graph, Manifest

# A tensor may stand in the plain and in the blocked layout at once; an attention matrix has the plain one only.
_LAYOUTS = 2


def weight_bytes(manifest: Manifest, graph: Graph) -> int:
    """The bytes of a graph's files, which loading brings into memory."""
    return sum(manifest.files[path].bytes for path in (graph.path, *graph.data))


def run_bytes(graph: Graph, axes: Mapping[str, int]) -> int:
    """The bytes of a run beside the weights, for values of the graph's named axes.

    A sum, because the arena keeps what convolutions have freed, in pieces too small for an attention matrix. At
    least what the inputs and outputs take, whatever the manifest says.
    """
    batch, positions = axes.get("batch", 1), axes.get("height", 1) * axes.get("width", 1)
    arrays = sum(
        np.dtype(port.dtype).itemsize * math.prod(port.resolve(axes))
        for port in (*graph.inputs, *graph.outputs)
    )
    activations = max(batch * graph.activation_bytes * positions, arrays)
    return _LAYOUTS * activations + batch * graph.attention_bytes * positions**2
