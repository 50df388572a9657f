"""Run one graph of a bundle: named arrays in, named arrays out, checked against the manifest."""

import contextlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Graph, Port
from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import DcaeError, ParityError, ProviderError, UsageError
from dcae_export.runtime.bound_graph import BoundGraph, BoundGraphs, turn
from dcae_export.runtime.device import Device
from dcae_export.runtime.engine_session import EnginePlan, OpenGraph
from dcae_export.runtime.forecast import run_bytes, widening
from dcae_export.runtime.memory import freed_blocks_returned, require_memory
from dcae_export.runtime.placement import RECORD_PLACEMENT, left_to_cpu, placed_nodes
from dcae_export.runtime.provider import (
    SILENT,
    Provider,
    installed_version,
    load_onnxruntime,
)
from dcae_export.runtime.provider_failures import translate
from dcae_export.runtime.provider_options import (
    CPU,
    CpuOptions,
    CudaOptions,
    ProviderEntry,
    ProviderOptions,
    TensorRtOptions,
)
from dcae_export.runtime.shared_libraries import require_libraries, require_listed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

_FOLDER_OF_WEIGHTS = "session.model_external_initializers_file_folder_path"


class Session:
    """An ONNX Runtime session for one graph. Several threads may call ``run`` at the same time.

    With ``cuda_graph`` they take turns, with those of every other such session of the process. A session without it
    takes none, and must not be used beside them on the same GPU.
    """

    def __init__(
        self,
        files: GraphFiles,
        *,
        provider: ProviderOptions = CPU,
        threads: int | None = None,
        axes: Mapping[str, int] | None = None,
    ) -> None:
        """Load the graph; its weights are mapped from disk. With TensorRT, an engine is built if none is kept.

        Args:
            files: The graph, checked by ``Bundle.check_graph``.
            provider: Where to run, with its options; nothing else is used in its place.
            threads: Threads inside one operator; None is one per physical core.
            axes: The named axes of the run to come, which TensorRT builds an engine for; others need none.

        Raises:
            UsageError: The engine's profile is not one that the graph takes.
            ProviderError: The provider is not there, does not load, or does not run the graph.
            ParityError: A new engine of TensorRT does not compute what the graph says.
            BundleError: ONNX Runtime does not accept the graph.
            ResourceError: The weights do not fit in memory.
        """
        self.graph: Graph = files.graph
        self.name = Path(files.path).name
        self.provider = provider.provider
        self._options = provider
        self._records = not isinstance(provider, CpuOptions) and provider.cuda_graph
        self._engine: EnginePlan | None = None
        stored = len(files.model) + sum(path.stat().st_size for path in files.data)
        weight_bytes = widening(files.graph, provider.provider) * stored
        require_listed(self.provider)
        require_libraries(self.provider)
        require_memory(weight_bytes, what=f"{self.name}: loading its weights")
        if isinstance(provider, TensorRtOptions):
            self._engine = EnginePlan.of(files, provider, axes=axes or {})

        open_graph = graph_opener(files, threads=threads)
        try:
            # Loading copies and frees most weights, which the C library would keep (docs/log.md).
            with turn(records=self._records), freed_blocks_returned():
                self._session = (
                    open_graph(provider.onnxruntime_providers(), None)
                    if self._engine is None
                    else self._engine.open(open_graph)
                )
        except DcaeError:
            raise
        except Exception as error:
            raise self._translate(error, "cannot be loaded") from error
        self._require_provider()
        self.device = Device.of(provider)
        self._threads = threads
        self._bound = BoundGraphs(
            self._session,
            self.graph,
            device=self.device,
            records=self._records,
            failure=lambda error: self._translate(error, "failed"),
        )
        self._beside: dict[bytes, InferenceSession] = {}

    def takes(self, axes: Mapping[str, int]) -> bool:
        """Whether this session runs at these values of the named axes; another engine may be needed."""
        return self._engine is None or self._engine.takes(axes)

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
        self._require_axes(axes)
        outputs = self._run_recorded(inputs, axes) if self._records else self._run(inputs, axes)
        for name, value in outputs.items():
            if not np.isfinite(value).all():
                raise ParityError(f"{self.name}: output {name} is not finite; nothing was written")
        return outputs

    @contextlib.contextmanager
    def bound(self, axes: Mapping[str, int]) -> Generator[BoundGraph]:
        """The graph with its inputs and outputs on the device, for nobody else while the block runs.

        Args:
            axes: A value for each named axis.

        Raises:
            UsageError: One is out of the graph's range, or the engine was built for others.
            ResourceError: They, or the activations, do not fit in memory.
        """
        self._require_range(axes)
        self._require_axes(axes)
        self._require_memory(axes)
        with self._bound.take(axes) as graph:
            yield graph

    def beside(self, model: bytes) -> "InferenceSession":
        """A small graph of our own on the same device, opened once.

        Args:
            model: The ONNX file.

        Raises:
            DcaeError: As on opening the graph itself.
        """
        if model not in self._beside:
            # TensorRT would build an engine.
            provider = self._options
            if not isinstance(provider, CpuOptions):
                provider = CudaOptions(device=provider.device, memory_limit=provider.memory_limit)
            options = session_options(threads=self._threads)
            # What is written is what is computed, in that order.
            levels = load_onnxruntime().GraphOptimizationLevel
            options.graph_optimization_level = levels.ORT_DISABLE_ALL
            try:
                self._beside[model] = load_onnxruntime().InferenceSession(
                    model, options, providers=provider.onnxruntime_providers(), enable_fallback=0
                )
            except Exception as error:
                raise self._translate(error, "a graph beside it cannot be loaded") from error
        return self._beside[model]

    @contextlib.contextmanager
    def failures(self, what: str) -> Generator[None]:
        """Raise ONNX Runtime's errors inside as those of this package; ``what`` failed."""
        try:
            yield
        except Exception as error:
            raise self._translate(error, f"{what} failed") from error

    def _run(
        self, inputs: Mapping[str, NDArray[np.generic]], axes: Mapping[str, int]
    ) -> dict[str, NDArray[np.generic]]:
        self._require_memory(axes)
        names = [port.name for port in self.graph.outputs]
        try:
            results = self._session.run(names, dict(inputs))
        except Exception as error:
            raise self._translate(error, "failed") from error
        return dict(zip(names, results, strict=True))

    def _run_recorded(
        self, inputs: Mapping[str, NDArray[np.generic]], axes: Mapping[str, int]
    ) -> dict[str, NDArray[np.generic]]:
        with self.bound(axes) as graph:
            for name, array in inputs.items():
                graph.write(name, array)
            graph.run()
            return {name: value.numpy() for name, value in graph.outputs.items()}

    def _require_range(self, axes: Mapping[str, int]) -> None:
        axis = self.graph.outside(axes)
        if axis is not None:
            bounds = self.graph.ranges[axis]
            raise UsageError(
                f"{self.name}: {axis} is {axes[axis]}, the graph takes {bounds.min} to {bounds.max}"
            )

    def _require_axes(self, axes: Mapping[str, int]) -> None:
        if not self.takes(axes):
            raise UsageError(
                f"{self.name}: the engine was built for other sizes; open it for {axes}"
            )

    def _require_memory(self, axes: Mapping[str, int]) -> None:
        if isinstance(self._options, CpuOptions):
            # A GPU's arena holds what it had, so what is free there says nothing; its own limit does.
            require_memory(
                run_bytes(self.graph, axes, provider=self.provider),
                what=f"{self.name}: running at this size",
                limit=self._options.memory_limit,
            )

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
        self._require_range(axes)
        return axes

    def _translate(self, error: Exception, what: str) -> DcaeError:
        return translate(error, name=self.name, what=what, provider=self.provider)

    def _require_provider(self) -> None:
        """Fail unless the graph runs where it was asked to: ONNX Runtime itself only logs that it does not."""
        asked = self.provider
        used = self._session.get_providers()
        if used[0] != asked.onnxruntime_name:
            raise ProviderError(
                f"{asked.value}: ONNX Runtime could not load {asked.onnxruntime_name} and would have "
                "used another; dcae doctor says which library is missing"
            )
        if asked is Provider.CPU:
            return
        placed = placed_nodes(self._session)
        if asked.onnxruntime_name not in placed:
            raise ProviderError(f"{asked.value}: {self.name}: ONNX Runtime gave it no node to run")
        left = left_to_cpu(placed, cpu=Provider.CPU.onnxruntime_name)
        if left:
            raise ProviderError(
                f"{asked.value}: {self.name}: ONNX Runtime {installed_version()} has no {', '.join(left[:3])} for "
                f"{self.graph.precision} there and would run it on the CPU; export with another --precision or --target"
            )


def axes_of(graph: Graph, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, int]:
    """The named axes of a run with these inputs, as far as they fit the graph; ``Session.run`` says where not."""
    found: dict[str, int] = {}
    for port in graph.inputs:
        if port.name in inputs:
            found.update(port.axes(inputs[port.name].shape) or {})
    return found


def graph_opener(files: GraphFiles, *, threads: int | None = None) -> OpenGraph:
    """How ONNX Runtime opens a graph, or a finished engine of it, once its providers are known."""

    def open_graph(providers: list[ProviderEntry], context: Path | None) -> "InferenceSession":
        options = session_options(threads=threads)
        options.add_session_config_entry(_FOLDER_OF_WEIGHTS, str(files.path.parent.resolve()))
        options.add_session_config_entry(RECORD_PLACEMENT, "1")
        return load_onnxruntime().InferenceSession(
            files.model if context is None else str(context),
            options,
            providers=providers,
            enable_fallback=0,  # Else it prints a line and tries another provider.
        )

    return open_graph


def session_options(*, threads: int | None) -> "SessionOptions":
    """The options of every session of this package; ``threads`` None is one per physical core."""
    options = load_onnxruntime().SessionOptions()
    # Both plans hold a buffer from its first use to its last reuse, however far apart: without them the peak
    # of a decode at 1024 px is a fifth lower (docs/log.md).
    options.enable_mem_pattern = False
    options.enable_mem_reuse = False
    options.log_severity_level = SILENT
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _shape_text(port: Port) -> str:
    return "[" + ", ".join(str(dim) for dim in port.shape) + "]"
