"""Run one graph with ONNX's reference evaluator: slow, and the operators' definition itself."""

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from dcae_export.bundle.reader import GraphFiles


class ReferenceSession:
    """A graph in the evaluator. Only small graphs are worth the wait."""

    version = onnx.__version__

    def __init__(self, files: GraphFiles) -> None:
        self._outputs = [port.name for port in files.graph.outputs]
        self._evaluator = ReferenceEvaluator(str(files.path))

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the graph: arrays by name in, arrays by name out."""
        # Its sigmoid computes a form for each sign everywhere, then picks: the other one may overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            results = self._evaluator.run(self._outputs, dict(inputs))  # pyright: ignore[reportUnknownMemberType] - half typed
        return dict(zip(self._outputs, (np.asarray(value) for value in results), strict=True))
