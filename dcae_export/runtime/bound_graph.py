"""A graph between fixed places of its device: nothing is copied to it or from it unless that is asked for."""

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Graph
from dcae_export.errors import DcaeError
from dcae_export.runtime.device_memory import DeviceMemory
from dcae_export.runtime.provider import load_onnxruntime

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, OrtValue

# ONNX Runtime keeps one recorded CUDA graph for each of these numbers.
_RECORDING = "gpu_graph_id"


class BoundGraph:
    """One shape of a graph. What lies in ``inputs`` is what a run reads, what lies in ``outputs`` what the last one made.

    The places stay the same from run to run, which is what a recorded CUDA graph needs.
    """

    def __init__(  # noqa: PLR0913 - what a session knows of itself
        self,
        session: "InferenceSession",
        graph: Graph,
        axes: Mapping[str, int],
        *,
        device: DeviceMemory,
        recording: int | None,
        turn: contextlib.AbstractContextManager[object],
        failure: Callable[[Exception], DcaeError],
    ) -> None:
        """Use ``Session.bound``. ``recording`` is the number of the CUDA graph; ``turn`` is held by each run."""
        self.inputs: dict[str, OrtValue] = {}
        self.outputs: dict[str, OrtValue] = {}
        self._session = session
        self._turn = turn
        self._failure = failure
        self._options = load_onnxruntime().RunOptions()
        if recording is not None:
            self._options.add_run_config_entry(_RECORDING, str(recording))
        self._binding = session.io_binding()
        try:
            for port in graph.inputs:
                value = device.empty(port.resolve(axes), port.dtype)
                self.inputs[port.name] = value
                self._binding.bind_ortvalue_input(port.name, value)
            for port in graph.outputs:
                value = device.empty(port.resolve(axes), port.dtype)
                self.outputs[port.name] = value
                self._binding.bind_ortvalue_output(port.name, value)
        except Exception as error:
            raise failure(error) from error

    def write(self, name: str, array: NDArray[np.generic]) -> None:
        """Copy an array, of the input's shape and dtype, to where the next run reads it."""
        self.inputs[name].update_inplace(np.ascontiguousarray(array))

    def run(self) -> None:
        """Run the graph once, and wait for it.

        Raises:
            DcaeError: As ``Session.run``, but that nobody looks whether the outputs are finite.
        """
        try:
            with self._turn:
                self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:
            raise self._failure(error) from error
