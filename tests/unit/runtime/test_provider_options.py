"""Typed options become the texts that ONNX Runtime takes, and refuse what it would not."""

import pytest

from dcae_export.errors import UsageError
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.provider_options import (
    CPU,
    AxisProfile,
    CpuOptions,
    CudaOptions,
    CudnnSearch,
    EngineFiles,
    InputProfile,
    TensorRtOptions,
    default_options,
)


def test_the_cpu_has_no_options():
    assert CPU.onnxruntime_providers() == [("CPUExecutionProvider", {})]


def test_cuda_by_default_is_exact_and_bounded():
    ((name, options),) = CudaOptions().onnxruntime_providers()
    assert name == "CUDAExecutionProvider"
    assert options == {
        "device_id": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "cudnn_conv_use_max_workspace": "0",
        "prefer_nhwc": "0",
        "use_tf32": "0",
        "enable_cuda_graph": "0",
    }


def test_every_option_of_cuda_arrives():
    ((_, options),) = CudaOptions(
        device=3,
        memory_limit=8 * 2**30,
        cudnn_search=CudnnSearch.EXHAUSTIVE,
        cudnn_max_workspace=True,
        prefer_nhwc=True,
        tf32=True,
        cuda_graph=True,
    ).onnxruntime_providers()
    assert options == {
        "device_id": "3",
        "gpu_mem_limit": "8589934592",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        "prefer_nhwc": "1",
        "use_tf32": "1",
        "enable_cuda_graph": "1",
    }


def test_what_tensorrt_leaves_runs_by_cuda_on_the_same_gpu_within_the_same_memory():
    (first, _), (second, cuda) = TensorRtOptions(device=2, memory_limit=5).onnxruntime_providers()
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert (cuda["device_id"], cuda["gpu_mem_limit"]) == ("2", "5")


@pytest.mark.parametrize(
    ("precision", "flags"),
    [("fp32", "00"), ("fp16", "10"), ("bf16", "01"), ("graph", "00")],
)
def test_the_builder_may_compute_in_one_precision(precision, flags):
    (_, options), _ = TensorRtOptions(precision=precision).onnxruntime_providers()
    assert options["trt_fp16_enable"] + options["trt_bf16_enable"] == flags


def test_an_engine_has_its_folder_its_timings_and_its_shapes(tmp_path):
    engine = EngineFiles(
        folder=tmp_path / "e",
        inputs=(
            InputProfile(name="x", least=(1, 8), best=(2, 8), most=(4, 16)),
            InputProfile(name="t", least=(1,), best=(2,), most=(4,)),
        ),
        timings=tmp_path / "t",
    )
    options = TensorRtOptions(workspace=7, builder_level=5, cuda_graph=True)
    (_, found), _ = options.onnxruntime_providers(engine)
    assert found["trt_engine_cache_enable"] == found["trt_timing_cache_enable"] == "1"
    assert found["trt_engine_cache_path"] == str(tmp_path / "e")
    assert found["trt_timing_cache_path"] == str(tmp_path / "t")
    assert found["trt_profile_min_shapes"] == "x:1x8,t:1"
    assert found["trt_profile_opt_shapes"] == "x:2x8,t:2"
    assert found["trt_profile_max_shapes"] == "x:4x16,t:4"
    assert found["trt_max_workspace_size"] == "7"
    assert found["trt_builder_optimization_level"] == "5"
    assert found["trt_cuda_graph_enable"] == "1"


def test_a_recorded_engine_of_a_range_is_refused_with_the_way_out():
    ranged = AxisProfile(axis="height", least=16, best=32, most=64)
    with pytest.raises(
        UsageError, match=r"height: 16 to 64 .* one shape only; take --engine-profile height=32, or"
    ):
        TensorRtOptions(cuda_graph=True, profile=(ranged,))
    single = AxisProfile(axis="height", least=32, best=32, most=32)
    assert TensorRtOptions(cuda_graph=True, profile=(single,)).profile == (single,)


def test_without_an_engines_folder_nothing_is_kept():
    (_, options), _ = TensorRtOptions().onnxruntime_providers()
    assert not [name for name in options if "cache" in name or "profile" in name]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: CudaOptions(device=-1),
        lambda: CudaOptions(memory_limit=0),
        lambda: CpuOptions(memory_limit=0),
        lambda: TensorRtOptions(builder_level=6),
        lambda: TensorRtOptions(workspace=0),
        lambda: AxisProfile(axis="depth", least=1, best=1, most=1),
        lambda: AxisProfile(axis="batch", least=4, best=1, most=8),
        lambda: AxisProfile(axis="batch", least=0, best=1, most=8),
        lambda: TensorRtOptions(profile=(AxisProfile(axis="batch", least=1, best=1, most=1),) * 2),
    ],
)
def test_what_no_provider_would_take_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong()


@pytest.mark.parametrize("provider", Provider)
def test_each_provider_has_default_options_of_its_own(provider):
    assert default_options(provider).provider is provider
    assert default_options(provider).onnxruntime_providers()[0][0] == provider.onnxruntime_name
