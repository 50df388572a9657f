"""A graph between fixed places of its device: nothing is copied to it or from it unless that is asked for."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Graph
from dcae_export.errors import DcaeError
from dcae_export.runtime.device import Device
from dcae_export.runtime.provider import load_onnxruntime

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, OrtValue, RunOptions

# ONNX Runtime keeps one recorded CUDA graph for each of these numbers.
_RECORDING = "gpu_graph_id"
# It records in CUDA's global mode, which an allocation or a copy of any other thread breaks.
_RECORDERS = threading.RLock()

Failure = Callable[[Exception], DcaeError]


def turn(*, records: bool) -> contextlib.AbstractContextManager[object]:
    """Keep the GPU from the process's other sessions that record, for one that does; others need no turn."""
    return _RECORDERS if records else contextlib.nullcontext()


class BoundGraph:
    """One shape of a graph. What lies in ``inputs`` is what a run reads, what lies in ``outputs`` what the last one made.

    The places stay the same from run to run, which is what a recorded CUDA graph needs.
    """

    def __init__(
        self,
        owner: "BoundGraphs",
        options: "RunOptions",
        *,
        inputs: "Mapping[str, OrtValue]",
        outputs: "Mapping[str, OrtValue]",
    ) -> None:
        """Use ``Session.bound``."""
        self.inputs = inputs
        self.outputs = outputs
        self._owner = owner
        self._options = options
        self._binding = owner.session.io_binding()
        for name, value in inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def write(self, name: str, array: NDArray[np.generic]) -> None:
        """Copy an array, of the input's shape and dtype, to where the next run reads it."""
        self.inputs[name].update_inplace(np.ascontiguousarray(array))

    def run(self) -> None:
        """Run the graph once, and wait for it.

        Raises:
            DcaeError: As ``Session.run``, but that nobody looks whether the outputs are finite.
        """
        try:
            self._owner.session.run_with_iobinding(self._binding, self._options)
        except Exception as error:
            raise self._owner.failure(error) from error


class BoundGraphs:
    """The bound graphs of a session: made when they are needed, and kept where each is a recorded CUDA graph."""

    def __init__(
        self,
        session: "InferenceSession",
        graph: Graph,
        *,
        device: Device,
        records: bool,
        failure: Failure,
    ) -> None:
        self.session = session
        self.failure = failure
        self._graph = graph
        self._device = device
        self._records = records
        # 0 is ONNX Runtime's own.
        self._numbers = itertools.count(1)
        self._idle: dict[tuple[tuple[str, int], ...], list[BoundGraph]] = {}

    @contextlib.contextmanager
    def take(self, axes: Mapping[str, int]) -> Generator[BoundGraph]:
        """One for these values of the named axes, for nobody else while the block runs.

        Where graphs are recorded, no other thread has one of any session meanwhile.
        """
        idle = self._idle.setdefault(tuple(sorted(axes.items())), [])
        with turn(records=self._records):
            try:
                bound = idle.pop()
            except IndexError:
                bound = self._make(axes)
            try:
                yield bound
            finally:
                if self._records:
                    idle.append(bound)

    def _make(self, axes: Mapping[str, int]) -> BoundGraph:
        options = load_onnxruntime().RunOptions()
        if self._records:
            options.add_run_config_entry(_RECORDING, str(next(self._numbers)))
        try:
            inputs, outputs = (
                {port.name: self._device.empty(port.resolve(axes), port.dtype) for port in ports}
                for ports in (self._graph.inputs, self._graph.outputs)
            )
        except Exception as error:
            raise self.failure(error) from error
        return BoundGraph(self, options, inputs=inputs, outputs=outputs)
