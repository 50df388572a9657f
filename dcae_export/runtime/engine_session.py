"""Open a graph with TensorRT: its engine from the cache, or built into it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import ProviderError, RefusedError
from dcae_export.files.sha256 import sha256
from dcae_export.runtime.engine_cache import EngineCache
from dcae_export.runtime.engine_key import EngineKey, Platform
from dcae_export.runtime.engine_parity import EngineParity
from dcae_export.runtime.engine_profile import engine_axes, input_profiles
from dcae_export.runtime.provider_options import (
    AxisProfile,
    CudaOptions,
    EngineFiles,
    ProviderEntry,
    TensorRtOptions,
)
from dcae_export.runtime.shared_libraries import preload_builder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CONTEXT_NAME = "engine.onnx"
# What TensorRT's provider says of a file that is no engine of this TensorRT and GPU.
_UNREADABLE = ("could not deserialize engine", "failed to deserialize engine")

OpenGraph = Callable[[list[ProviderEntry], Path | None], "InferenceSession"]
"""Open the graph with providers; or in its place the file of a finished engine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnginePlan:
    """The engine of a graph for a run: its key, the axes that it takes, and where it is kept."""

    files: GraphFiles
    options: TensorRtOptions
    axes: dict[str, AxisProfile]
    key: EngineKey
    cache: EngineCache

    @classmethod
    def of(
        cls, files: GraphFiles, options: TensorRtOptions, *, axes: Mapping[str, int]
    ) -> "EnginePlan":
        """Plan the engine for a run at these axes.

        Raises:
            UsageError: The profile is not one that the graph takes.
            ProviderError: The GPU or TensorRT cannot be found.
            RefusedError: The cache is not the user's alone.
        """
        assert files.digests, "engines are kept for graphs of a bundle"
        ranges = engine_axes(
            files.graph, profile=options.profile, axes=axes, one_shape=options.cuda_graph
        )
        key = EngineKey.of(
            files,
            options,
            platform=Platform.here(device=options.device),
            profile=input_profiles(files.graph, ranges),
        )
        cache = EngineCache.open(options.engine_cache)
        return cls(files=files, options=options, axes=ranges, key=key, cache=cache)

    def takes(self, axes: Mapping[str, int]) -> bool:
        """Whether the engine runs at these axes."""
        return all(one.least <= axes[name] <= one.most for name, one in self.axes.items())

    def open(self, open_graph: OpenGraph) -> "InferenceSession":
        """Load the engine, or build it; one that turns out to be damaged is built again, once.

        Raises:
            ProviderError: The engine is one that ``dcae engine build`` makes, and has not.
            ParityError: A new engine does not compute what the graph says.
        """
        kept = self.cache.find(self.key)
        if self.options.precision == "graph":
            return self._open_built(kept, open_graph)
        if kept is not None:
            session = self._open_kept(kept, open_graph)
            if session is not None:
                return session
        with self.cache.building(wait=True):
            # Whoever built before us may have built this one.
            kept = self.cache.find(self.key)
            session = None if kept is None else self._open_kept(kept, open_graph)
            if session is not None:
                return session
            preload_builder()
            parity = self.parity(open_graph)
            with self.cache.new_entry(self.key) as folder:
                session = open_graph(self._providers(folder, options=self.unrecorded), None)
                parity.require(session, precision=self.options.precision)
                self.require_unchanged()
            if not self.options.cuda_graph:
                return session
            # Two engines of one graph would share the GPU's memory.
            del session
            kept = self.cache.find(self.key)
            assert kept is not None
            return open_graph(self._providers(kept), None)

    @property
    def unrecorded(self) -> TensorRtOptions:
        """The options for runs on arrays that lie elsewhere each time, which a recorded CUDA graph would not see."""
        return replace(self.options, cuda_graph=False)

    def require_unchanged(self) -> None:
        """Check that the weights are still those that were hashed: an engine of others would be found by their hashes.

        Raises:
            RefusedError: They are not; nothing may be kept.
        """
        if not self.files.has_verified_digests:
            return
        for path, digest in zip(self.files.data, self.files.digests[1:], strict=True):
            with path.open("rb") as file:
                if sha256(file) != digest:
                    raise RefusedError(
                        f"{path}: changed while its engine was built; nothing was kept, run it again"
                    )

    def parity(self, open_graph: OpenGraph) -> EngineParity:
        """What the engine is to compute, by CUDA."""
        cuda = CudaOptions(device=self.options.device, memory_limit=self.options.memory_limit)
        return EngineParity(
            self.files.graph,
            axes={name: one.best for name, one in self.axes.items()},
            open_reference=lambda: open_graph(cuda.onnxruntime_providers(), None),
        )

    def _open_kept(self, folder: Path, open_graph: OpenGraph) -> "InferenceSession | None":
        try:
            session = open_graph(self._providers(folder), None)
        # ONNX Runtime's exceptions have no base but Exception.
        except Exception as error:
            if any(sign in str(error) for sign in _UNREADABLE):
                return None
            raise
        return session if self.cache.holds_only(self.key) else None

    def _open_built(self, folder: Path | None, open_graph: OpenGraph) -> "InferenceSession":
        if folder is None:
            sizes = ", ".join(f"{name} {one.best}" for name, one in self.axes.items()) or "its size"
            raise ProviderError(
                f"tensorrt: no engine of {self.key.graph} for {sizes}, this GPU and version; dcae engine build makes "
                "it, with the --size, --guidance, --cuda-graph and options of engines of this run, and its pictures "
                "at a time as --batch"
            )
        return open_graph(self.options.onnxruntime_providers(), folder / CONTEXT_NAME)

    def _providers(
        self, folder: Path, *, options: TensorRtOptions | None = None
    ) -> list[ProviderEntry]:
        timings = self.cache.timings(self.key.platform) if self.options.timing_cache else None
        return (options or self.options).onnxruntime_providers(
            EngineFiles(folder=folder, inputs=self.key.profile, timings=timings)
        )
