"""Networks of the GPU benchmark on their device: PyTorch's and ONNX Runtime's behind one face.

What is timed begins and ends on the device: inputs lie there, and a run is over when its output does.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Graph
from dcae_export.bundle.reader import Bundle, GraphFiles
from dcae_export.files.sha256 import sha256
from dcae_export.runtime.provider_options import (
    CpuOptions,
    CudaOptions,
    ProviderOptions,
    TensorRtOptions,
)
from dcae_export.runtime.session import Session

Inputs = dict[str, NDArray[np.generic]]
Run = Callable[[], None]

GRAPHS = {"encode": "encoder", "decode": "decoder", "step": "transformer"}
GRAPH_RECORD = "graph.json"


class OnnxNetwork:
    """A graph in ONNX Runtime."""

    def __init__(self, files: GraphFiles, options: ProviderOptions) -> None:
        self._files = files
        self._options = options
        self._session: Session | None = None
        self._stack = ExitStack()

    def prepare(self, inputs: Inputs) -> Run:
        """Bring inputs to the device; what runs the network on them."""
        self._stack.close()
        axes: dict[str, int] = {}
        for port in self._files.graph.inputs:
            axes |= port.axes(inputs[port.name].shape) or {}
        # TensorRT has engines for sizes.
        if self._session is None or not self._session.takes(axes):
            self._session = None
            self._session = Session(self._files, provider=self._options, axes=axes)
        self._bound = self._stack.enter_context(self._session.bound(axes))
        for name, array in inputs.items():
            self._bound.write(name, array)
        return self._bound.run

    def result(self) -> NDArray[np.float32]:
        """What the last run made."""
        (value,) = self._bound.outputs.values()
        return value.numpy().astype(np.float32)


def provider_options(provider: str, options: dict[str, bool]) -> ProviderOptions:
    """ONNX Runtime's provider; ``options`` are attributes of its typed options."""
    match provider:
        case "cpu":
            if options:
                raise ValueError(f"the processor has no {', '.join(options)}")
            return CpuOptions()
        case "tensorrt":
            return TensorRtOptions(precision="fp16", **options)
        case _:
            return CudaOptions(**options)


def open_onnx(files: Path, part: str, provider: str, options: dict[str, bool]) -> OnnxNetwork:
    """One graph of a bundle, or of a folder that holds a transformer alone."""
    name = GRAPHS[part]
    chosen = provider_options(provider, options)
    record = files / GRAPH_RECORD
    if not record.exists():
        return OnnxNetwork(Bundle.open(files).check_graph(name), chosen)
    graph = Graph.model_validate_json(record.read_text(encoding="utf-8"))
    path = files / f"{name}.onnx"
    data = tuple(files / one for one in graph.data)
    alone = GraphFiles(
        model=path.read_bytes(),
        path=path,
        data=data,
        graph=graph,
        # An engine is kept under them.
        digests=tuple(_digest(one) for one in (path, *data)),
        has_verified_digests=True,
    )
    return OnnxNetwork(alone, chosen)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return sha256(file)
