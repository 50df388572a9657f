"""Run one graph of a bundle: named arrays in, named arrays out, checked against the manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Graph, Port
from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import BundleError, ParityError, ProviderError, ResourceError, UsageError
from dcae_export.runtime.forecast import run_bytes
from dcae_export.runtime.memory import freed_blocks_returned, require_memory
from dcae_export.runtime.provider import load_onnxruntime, require_listed
from dcae_export.runtime.provider_options import CPU, ProviderOptions

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

_FOLDER_OF_WEIGHTS = "session.model_external_initializers_file_folder_path"
_OUT_OF_MEMORY = ("bad alloc", "bad_alloc", "failed to allocate", "out of memory")
_SILENT = 4  # ONNX Runtime's "fatal": what it has to say comes as an exception as well.


class Session:
    """An ONNX Runtime session for one graph. Several threads may call ``run`` at the same time."""

    def __init__(
        self,
        files: GraphFiles,
        *,
        provider: ProviderOptions = CPU,
        threads: int | None = None,
    ) -> None:
        """Load the graph; its weights are mapped from disk.

        Args:
            files: The graph, checked by ``Bundle.check_graph``.
            provider: Where to run, with its options; nothing else is used in its place.
            threads: Threads inside one operator; None is one per physical core.

        Raises:
            ProviderError: The provider is not there, or does not load.
            BundleError: ONNX Runtime does not accept the graph.
            ResourceError: The weights do not fit in memory.
        """
        self.graph: Graph = files.graph
        self.name = Path(files.path).name
        weight_bytes = len(files.model) + sum(path.stat().st_size for path in files.data)
        asked = provider.provider
        require_listed(asked)
        require_memory(weight_bytes, what=f"{self.name}: loading its weights")
        onnxruntime = load_onnxruntime()
        options = session_options(threads=threads)
        options.add_session_config_entry(_FOLDER_OF_WEIGHTS, str(files.path.parent.resolve()))
        try:
            # Loading copies and frees most weights, which the C library would keep (docs/log.md).
            with freed_blocks_returned():
                self._session = onnxruntime.InferenceSession(
                    files.model,
                    options,
                    providers=provider.onnxruntime_providers(),
                    enable_fallback=0,  # Else it prints a line and tries another provider.
                )
        except Exception as error:
            raise self._translate(error, "cannot be loaded") from error
        if self._session.get_providers()[0] != asked.onnxruntime_name:
            raise ProviderError(
                f"{asked.value}: ONNX Runtime could not load {asked.onnxruntime_name} and would have "
                "used another; dcae doctor says which library is missing"
            )

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the graph.

        Args:
            inputs: One array for each of the graph's inputs, by name, in its dtype and shape.

        Returns:
            The outputs by name.

        Raises:
            UsageError: A name, dtype or shape is not what the manifest says.
            ResourceError: The activations do not fit in memory.
            ParityError: An output is not finite.
        """
        axes = self._check(inputs)
        require_memory(
            run_bytes(self.graph, axes),
            what=f"{self.name}: running at this size",
        )
        names = [port.name for port in self.graph.outputs]
        try:
            results = self._session.run(names, dict(inputs))
        except Exception as error:
            raise self._translate(error, "failed") from error
        outputs = dict(zip(names, results, strict=True))
        for name, value in outputs.items():
            if not np.isfinite(value).all():
                raise ParityError(f"{self.name}: output {name} is not finite; nothing was written")
        return outputs

    def _check(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, int]:
        expected = [port.name for port in self.graph.inputs]
        if sorted(inputs) != sorted(expected):
            raise UsageError(f"{self.name}: takes {expected}, got {sorted(inputs)}")
        axes: dict[str, int] = {}
        for port in self.graph.inputs:
            array = inputs[port.name]
            if array.dtype != np.dtype(port.dtype):
                raise UsageError(f"{self.name}: {port.name} is {port.dtype}, got {array.dtype}")
            found = port.axes(array.shape)
            if found is None or any(axes.setdefault(k, v) != v for k, v in found.items()):
                raise UsageError(
                    f"{self.name}: {port.name} has shape {_shape_text(port)}, got {list(array.shape)}"
                )
        axis = self.graph.outside(axes)
        if axis is not None:
            bounds = self.graph.ranges[axis]
            raise UsageError(
                f"{self.name}: {axis} is {axes[axis]}, the graph takes {bounds.min} to {bounds.max}"
            )
        return axes

    def _translate(self, error: Exception, what: str) -> Exception:
        text = " ".join(str(error).split())
        if any(sign in text.lower() for sign in _OUT_OF_MEMORY):
            return ResourceError(f"{self.name}: {what}: not enough memory; try a smaller size")
        return BundleError(f"{self.name}: {what}: {text[:300]}")


def session_options(*, threads: int | None) -> "SessionOptions":
    """The options of every session of this package; ``threads`` None is one per physical core."""
    options = load_onnxruntime().SessionOptions()
    # Both plans hold a buffer from its first use to its last reuse, however far apart: without them the peak
    # of a decode at 1024 px is a fifth lower (docs/log.md).
    options.enable_mem_pattern = False
    options.enable_mem_reuse = False
    options.log_severity_level = _SILENT
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _shape_text(port: Port) -> str:
    return "[" + ", ".join(str(dim) for dim in port.shape) + "]"
