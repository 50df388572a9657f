"""Whether an engine computes what the graph says: TensorRT chooses layers by speed, and float16 can overflow in them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Graph
from dcae_export.errors import ParityError
from dcae_export.parity import difference, tolerance_of
from dcae_export.runtime.trial_run import trial_inputs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Results = dict[str, NDArray[np.generic]]


class EngineParity:
    """What CUDA gives for noise at an engine's best size, to compare the engine with.

    CUDA has run and is closed before the engine is made, so that the two never share the GPU's memory.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        axes: Mapping[str, int],
        open_reference: Callable[[], "InferenceSession"],
    ) -> None:
        self._graph = graph
        self._inputs = trial_inputs(graph, axes)
        self._expected = self._run(open_reference())

    def require(self, session: "InferenceSession", *, precision: str) -> None:
        """Compare an engine.

        Raises:
            ParityError: It is farther off than float16 may be; the message has the difference and the way out.
        """
        found = self._run(session)
        for port in self._graph.outputs:
            # TensorRT multiplies float32 with the mantissa of TF32, so there is no exact precision to hold it to.
            tolerance = tolerance_of(port.name, port.dtype, precision="fp16")
            off = difference(found[port.name], self._expected[port.name])
            if not off.within(tolerance):
                raise ParityError(
                    f"{self._graph.path}: TensorRT's engine in {precision} is off: {off}; {tolerance}; "
                    "nothing was kept, take --engine-precision bf16 or fp32, or dcae engine build"
                )

    def _run(self, session: "InferenceSession") -> Results:
        names = [port.name for port in self._graph.outputs]
        return dict(zip(names, session.run(names, self._inputs), strict=True))
