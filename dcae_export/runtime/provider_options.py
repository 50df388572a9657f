"""What can be set for each execution provider, as typed options, and how ONNX Runtime is told.

The names on ONNX Runtime's side are those of its CUDA and TensorRT execution providers' documentation.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dcae_export.errors import UsageError
from dcae_export.runtime.provider import Provider

ProviderEntry = tuple[str, dict[str, str]]
"""A provider's name in ONNX Runtime, and its options."""

BuilderPrecision = Literal["fp32", "fp16", "bf16", "graph"]
BUILDER_PRECISIONS: tuple[BuilderPrecision, ...] = get_args(BuilderPrecision)
PROFILE_AXES = ("batch", "height", "width")
Shape = tuple[int, ...]


class CudnnSearch(enum.Enum):
    """How cuDNN's algorithm for a convolution is chosen."""

    EXHAUSTIVE = "exhaustive"
    """Each is timed, once a shape: the fastest one, after seconds."""
    HEURISTIC = "heuristic"
    """By cuDNN's own table, at once."""
    DEFAULT = "default"
    """The same algorithm for every shape, and the least memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuOptions:
    """The processor.

    Args:
        memory_limit: Bytes that a run may take beside what the process holds; None is what the machine has left.
    """

    memory_limit: int | None = None

    def __post_init__(self) -> None:
        _check_device(0, self.memory_limit)

    @property
    def provider(self) -> Provider:
        """The provider that these are the options of."""
        return Provider.CPU

    def onnxruntime_providers(self) -> list[ProviderEntry]:
        """What ONNX Runtime is given: providers in the order in which they may take nodes."""
        return [(Provider.CPU.onnxruntime_name, {})]


@dataclass(frozen=True, kw_only=True, slots=True)
class CudaOptions:
    """An NVIDIA GPU by CUDA and cuDNN.

    Args:
        device: The GPU's number.
        memory_limit: Bytes of the GPU that the arena of a session may take; None is all that is free. cuDNN,
            cuBLAS and the CUDA context come on top.
        cudnn_search: How an algorithm for each convolution is chosen.
        cudnn_max_workspace: Let cuDNN take what workspace an algorithm would like to have. Off, it gets 32 MiB:
            the unrolled windows of one 3x3 convolution at 2048x2048x256 would be 36 GiB.
        prefer_nhwc: Run convolutions channels last.
        tf32: Let float32 products be computed with 10 bits of mantissa.
        cuda_graph: Record the first run and replay it; for graphs of one shape, without parts on the CPU.
    """

    device: int = 0
    memory_limit: int | None = None
    cudnn_search: CudnnSearch = CudnnSearch.HEURISTIC
    cudnn_max_workspace: bool = False
    prefer_nhwc: bool = False
    tf32: bool = False
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        _check_device(self.device, self.memory_limit)

    @property
    def provider(self) -> Provider:
        """The provider that these are the options of."""
        return Provider.CUDA

    def onnxruntime_providers(self) -> list[ProviderEntry]:
        """What ONNX Runtime is given: providers in the order in which they may take nodes."""
        options = {
            "device_id": str(self.device),
            # Doubling, its own default, would take up to twice of what a run needs.
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": self.cudnn_search.value.upper(),
            "cudnn_conv_use_max_workspace": _flag(self.cudnn_max_workspace),
            "prefer_nhwc": _flag(self.prefer_nhwc),
            "use_tf32": _flag(self.tf32),
            "enable_cuda_graph": _flag(self.cuda_graph),
        }
        if self.memory_limit is not None:
            options["gpu_mem_limit"] = str(self.memory_limit)
        return [(Provider.CUDA.onnxruntime_name, options)]


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisProfile:
    """The values of a graph's named axis that one engine takes; it is fastest at ``best``."""

    axis: str
    least: int
    best: int
    most: int

    def __post_init__(self) -> None:
        if self.axis not in PROFILE_AXES:
            raise UsageError(f"profile of {self.axis}: an axis is {', '.join(PROFILE_AXES)}")
        if not 1 <= self.least <= self.best <= self.most:
            raise UsageError(
                f"profile of {self.axis}: {self.least}, {self.best}, {self.most} do not rise from 1"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class InputProfile:
    """The shapes of one input that an engine is built for."""

    name: str
    least: Shape
    best: Shape
    most: Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFiles:
    """What a TensorRT session is given for one graph: where its engine lies, or is to, and for which inputs.

    ``timings`` is the folder of measured layers; None keeps none.
    """

    folder: Path
    inputs: tuple[InputProfile, ...]
    timings: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorRtOptions:
    """An NVIDIA GPU by TensorRT; nodes that it does not take run by CUDA.

    Args:
        device: The GPU's number.
        memory_limit: As in ``CudaOptions``, of CUDA's arena alone: TensorRT takes the memory of an engine's weights
            and activations itself, and is not bounded by it.
        precision: What layers may compute in. With fp16 TensorRT chooses them by speed and takes no heed of the
            graph's casts; ``graph`` is the graph's own types, in an engine that ``dcae engine build`` made.
        workspace: Bytes that a layer may use while it runs; None is what TensorRT finds best.
        builder_level: How long the builder looks for the fastest kernels, 0 to 5.
        profile: The axes of one engine; those that are not here, and all of them by default, have the one value of
            the first run, and another value is another engine.
        engine_cache: The folder that engines are kept in; None is that of the user's cache.
        timing_cache: Keep the times of layers there as well, which a second build is faster by.
        cuda_graph: Record the first run and replay it; the engine is for the one shape of that run.
    """

    device: int = 0
    memory_limit: int | None = None
    precision: BuilderPrecision = "fp32"
    workspace: int | None = None
    builder_level: int = 3
    profile: tuple[AxisProfile, ...] = ()
    engine_cache: Path | None = None
    timing_cache: bool = True
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        _check_device(self.device, self.memory_limit)
        if not 0 <= self.builder_level <= 5:
            raise UsageError(f"builder level {self.builder_level}: 0 to 5")
        if self.workspace is not None and self.workspace < 1:
            raise UsageError(f"workspace {self.workspace}: at least one byte")
        axes = [one.axis for one in self.profile]
        if len(set(axes)) != len(axes):
            raise UsageError("a profile has each axis once")
        ranged = next((one for one in self.profile if one.least < one.most), None)
        if self.cuda_graph and ranged is not None:
            raise UsageError(
                f"profile of {ranged.axis}: {ranged.least} to {ranged.most} with a CUDA graph: TensorRT's provider "
                f"records one shape only; take --engine-profile {ranged.axis}={ranged.best}, or no --cuda-graph"
            )

    @property
    def provider(self) -> Provider:
        """The provider that these are the options of."""
        return Provider.TENSORRT

    def onnxruntime_providers(self, engine: EngineFiles | None = None) -> list[ProviderEntry]:
        """What ONNX Runtime is given: providers in the order in which they may take nodes.

        Args:
            engine: The engine of the graph; None builds one that is not kept.
        """
        options = {
            "device_id": str(self.device),
            "trt_fp16_enable": _flag(self.precision == "fp16"),
            "trt_bf16_enable": _flag(self.precision == "bf16"),
            "trt_builder_optimization_level": str(self.builder_level),
            "trt_cuda_graph_enable": _flag(self.cuda_graph),
            # Norms over thousands of positions leave fp16's range.
            "trt_layer_norm_fp32_fallback": _flag(self.precision == "fp16"),
            # Weights go to the builder beside the graph, which protobuf allows 2 GiB.
            "trt_load_user_initializer": "1",
        }
        if self.workspace is not None:
            options["trt_max_workspace_size"] = str(self.workspace)
        if engine is not None:
            options |= _engine_options(engine)
        cuda = CudaOptions(device=self.device, memory_limit=self.memory_limit)
        return [(Provider.TENSORRT.onnxruntime_name, options), *cuda.onnxruntime_providers()]


def _engine_options(engine: EngineFiles) -> dict[str, str]:
    options = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engine.folder)}
    if engine.timings is not None:
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(engine.timings)}
    if engine.inputs:
        options |= {
            "trt_profile_min_shapes": _shapes_text((one.name, one.least) for one in engine.inputs),
            "trt_profile_opt_shapes": _shapes_text((one.name, one.best) for one in engine.inputs),
            "trt_profile_max_shapes": _shapes_text((one.name, one.most) for one in engine.inputs),
        }
    return options


def _shapes_text(shapes: Iterable[tuple[str, Shape]]) -> str:
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes)


ProviderOptions = CpuOptions | CudaOptions | TensorRtOptions


def default_options(provider: Provider) -> ProviderOptions:
    """The options of a provider where nothing is said."""
    match provider:
        case Provider.CPU:
            return CpuOptions()
        case Provider.CUDA:
            return CudaOptions()
        case Provider.TENSORRT:
            return TensorRtOptions()


def _check_device(device: int, memory_limit: int | None) -> None:
    if device < 0:
        raise UsageError(f"device {device}: GPUs are numbered from 0")
    if memory_limit is not None and memory_limit < 1:
        raise UsageError(f"memory limit {memory_limit}: at least one byte")


def _flag(value: bool) -> str:  # noqa: FBT001 - of ONNX Runtime's own options
    return "1" if value else "0"


CPU = CpuOptions()
