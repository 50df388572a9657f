"""Run one graph with OpenVINO in float32: an implementation that shares no code with ONNX Runtime."""

import importlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import BundleError, ProviderError


class OpenVINOSession:
    """A compiled graph. OpenVINO picks bfloat16 on processors that have it, so float32 is asked for by name."""

    def __init__(self, files: GraphFiles) -> None:
        """Load and compile the graph from its folder: OpenVINO finds external weights by the file's path only.

        Raises:
            ProviderError: OpenVINO is not installed.
            BundleError: OpenVINO does not accept the graph.
        """
        try:
            openvino = importlib.import_module("openvino")
        except ImportError as error:
            raise ProviderError("OpenVINO is not installed; pip install openvino") from error
        self.version = str(openvino.__version__).split("-")[0]
        self._outputs = [port.name for port in files.graph.outputs]
        try:
            core = openvino.Core()
            self._compiled = core.compile_model(
                core.read_model(str(files.path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
            )
        except RuntimeError as error:
            raise BundleError(f"{files.path.name}: OpenVINO does not accept it: {error}") from error

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the graph: arrays by name in, arrays by name out."""
        results = self._compiled(dict(inputs))
        return {name: np.array(results[name]) for name in self._outputs}
