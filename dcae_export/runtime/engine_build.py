"""Build an engine with TensorRT itself, strongly typed: each layer computes in the types that the graph gives it.

ONNX Runtime's provider builds weakly typed networks on TensorRT 10, in which float16 goes where it is fastest.
Layers, flags and names are those of TensorRT's Python API, version 10.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Protocol

from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import ProviderError, ResourceError
from dcae_export.runtime.engine_context import engine_context
from dcae_export.runtime.engine_session import CONTEXT_NAME, EnginePlan, OpenGraph
from dcae_export.runtime.shared_libraries import TENSORRT_MAJOR

_ENGINE_NAME = "strongly-typed.engine"
_TIMINGS_NAME = "strongly-typed.timings"

OnProgress = Callable[[str, int, int], None]
"""What the builder is at, how many of its steps are done, and how many there are."""


class _ParserError(Protocol):
    """TensorRT's parser on one node."""

    def desc(self) -> str: ...


class _Parser(Protocol):
    """TensorRT's parser of ONNX, which has no types of its own."""

    def parse(self, model: bytes, path: str, /) -> bool: ...
    def get_error(self, index: int, /) -> _ParserError: ...


def build_engine(
    plan: EnginePlan, *, open_graph: OpenGraph, on_progress: OnProgress, wait: bool = False
) -> Path:
    """Build the engine of a plan whose precision is ``graph``; one that is there already stays.

    Args:
        plan: The plan.
        open_graph: Opens the graph with CUDA, and the engine, to compare the two before the engine is kept.
        on_progress: Told how far the builder is.
        wait: Wait for another process that builds.

    Returns:
        The engine's folder.

    Raises:
        ProviderError: TensorRT's Python package is missing or of another version, or refuses the graph.
        BusyError: Another process builds, and ``wait`` is off.
        ParityError: The engine does not compute what the graph says; it was not kept.
    """
    assert plan.options.precision == "graph"
    tensorrt = load_tensorrt()
    kept = plan.cache.find(plan.key)
    if kept is not None:
        return kept
    with plan.cache.building(wait=wait):
        kept = plan.cache.find(plan.key)
        if kept is not None:
            return kept
        parity = plan.parity(open_graph)
        with plan.cache.new_entry(plan.key) as folder:
            engine = _build(tensorrt, plan, on_progress)
            (folder / _ENGINE_NAME).write_bytes(engine)
            (folder / CONTEXT_NAME).write_bytes(
                engine_context(
                    plan.files.graph,
                    engine=_ENGINE_NAME,
                    compute_capability=plan.key.platform.compute_capability,
                )
            )
            session = open_graph(plan.unrecorded.onnxruntime_providers(), folder / CONTEXT_NAME)
            parity.require(session, precision="graph")
            plan.require_unchanged()
    built = plan.cache.find(plan.key)
    assert built is not None
    return built


def load_tensorrt() -> ModuleType:
    """Import TensorRT's Python package.

    Raises:
        ProviderError: It is missing, or not of the version that ONNX Runtime links.
    """
    line = f"pip install 'tensorrt-cu13=={TENSORRT_MAJOR}.*'"
    try:
        tensorrt = importlib.import_module("tensorrt")
    except ImportError as error:
        raise ProviderError(f"tensorrt: TensorRT's Python package is missing; {line}") from error
    version = str(tensorrt.__version__)
    if version.partition(".")[0] != str(TENSORRT_MAJOR):
        raise ProviderError(
            f"tensorrt: TensorRT {version} is installed, ONNX Runtime loads engines of TensorRT {TENSORRT_MAJOR}; "
            f"pip uninstall -y tensorrt, then {line}"
        )
    return tensorrt


def _build(tensorrt: ModuleType, plan: EnginePlan, on_progress: OnProgress) -> bytes:
    logger = tensorrt.Logger(tensorrt.Logger.INTERNAL_ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(
        1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    _parse(tensorrt.OnnxParser(network, logger), plan.files)
    config = builder.create_builder_config()
    config.builder_optimization_level = plan.options.builder_level
    if plan.options.workspace is not None:
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, plan.options.workspace)
    if plan.key.profile:
        profile = builder.create_optimization_profile()
        for one in plan.key.profile:
            profile.set_shape(one.name, one.least, one.best, one.most)
        config.add_optimization_profile(profile)
    config.progress_monitor = _monitor(tensorrt, on_progress)
    timings = plan.cache.timings(plan.key.platform) / _TIMINGS_NAME
    if plan.options.timing_cache:
        known = timings.read_bytes() if timings.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ResourceError(
            f"{plan.key.graph}: TensorRT could not build an engine; try a smaller size, or a larger --engine-workspace"
        )
    if plan.options.timing_cache:
        timings.write_bytes(bytes(config.get_timing_cache().serialize()))
    return bytes(engine)


def _parse(parser: _Parser, files: GraphFiles) -> None:
    # What was checked is parsed, not what the path holds by now; the path is for the weights beside it.
    if not parser.parse(files.model, str(files.path)):
        raise ProviderError(
            f"tensorrt: {files.path.name}: TensorRT does not take this graph: {parser.get_error(0).desc()}"
        )


def _monitor(tensorrt: ModuleType, on_progress: OnProgress) -> object:
    class Monitor(tensorrt.IProgressMonitor):
        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:  # noqa: ARG002
            self._steps[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            on_progress(phase, step + 1, self._steps[phase])
            return True

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

    return Monitor()
