#include "provider_settings.hpp"

#include <string_view>
#include <vector>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

std::string flag(bool value) { return value ? "1" : "0"; }

// "latent:1x128x8x8,timestep:1"
std::string shapes_text(const std::vector<InputProfile>& inputs, Shape InputProfile::*which) {
    std::vector<std::string> parts;
    for (const auto& input : inputs) {
        std::vector<std::string> sides;
        for (const auto side : input.*which) sides.push_back(std::to_string(side));
        parts.push_back(input.name + ":" + joined(sides, "x"));
    }
    return joined(parts, ",");
}

struct Pointers {
    std::vector<const char*> keys;
    std::vector<const char*> values;

    explicit Pointers(const Settings& settings) {
        for (const auto& [key, value] : settings) {
            keys.push_back(key.c_str());
            values.push_back(value.c_str());
        }
    }
};

[[noreturn]] void refuse(const OnnxRuntime& runtime, const std::string& problem, Provider asked,
                         const char* way_out) {
    // Behind paths and a line of its own source ONNX Runtime says which library is missing.
    constexpr std::string_view before = "with error: ";
    const auto at = problem.rfind(before);
    const auto why = one_line(at == std::string::npos ? problem : problem.substr(at + before.size()));
    fail(Status::provider, name_of(asked), ": ONNX Runtime ", runtime.version(), " (", runtime.path(),
         ") could not load it: ", why.substr(0, 300), "; ", way_out);
}

}  // namespace

Settings cuda_settings(std::optional<std::int64_t> memory_limit) {
    Settings settings = {
        {"device_id", "0"},
        {"arena_extend_strategy", "kSameAsRequested"},
        {"cudnn_conv_algo_search", "HEURISTIC"},
        {"cudnn_conv_use_max_workspace", "0"},
        {"prefer_nhwc", "0"},
        {"use_tf32", "0"},
        {"enable_cuda_graph", "0"},
    };
    if (memory_limit) settings.emplace("gpu_mem_limit", std::to_string(*memory_limit));
    return settings;
}

Settings tensorrt_settings(const std::string& precision, const EngineFiles* files) {
    Settings settings = {
        {"device_id", "0"},
        {"trt_fp16_enable", flag(precision == "fp16")},
        {"trt_bf16_enable", flag(precision == "bf16")},
        {"trt_builder_optimization_level", std::to_string(kBuilderLevel)},
        {"trt_cuda_graph_enable", "0"},
        {"trt_layer_norm_fp32_fallback", flag(precision == "fp16")},
        {"trt_load_user_initializer", "1"},
    };
    if (files == nullptr) return settings;
    settings.emplace("trt_engine_cache_enable", "1");
    settings.emplace("trt_engine_cache_path", files->folder);
    settings.emplace("trt_timing_cache_enable", "1");
    settings.emplace("trt_timing_cache_path", files->timings);
    if (!files->inputs.empty()) {
        settings.emplace("trt_profile_min_shapes", shapes_text(files->inputs, &InputProfile::least));
        settings.emplace("trt_profile_opt_shapes", shapes_text(files->inputs, &InputProfile::best));
        settings.emplace("trt_profile_max_shapes", shapes_text(files->inputs, &InputProfile::most));
    }
    return settings;
}

void append_cuda(const OnnxRuntime& runtime, OrtSessionOptions* options, const Settings& settings, Provider asked) {
    const OrtApi& api = runtime.api();
    runtime.preload_nvidia();
    OrtCUDAProviderOptionsV2* made = nullptr;
    runtime.require(api.CreateCUDAProviderOptions(&made));
    const auto held = owned(made, api.ReleaseCUDAProviderOptions);
    const Pointers given(settings);
    auto problem =
        runtime.take(api.UpdateCUDAProviderOptions(made, given.keys.data(), given.values.data(), given.keys.size()));
    if (problem.empty()) problem = runtime.take(api.SessionOptionsAppendExecutionProvider_CUDA_V2(options, made));
    if (!problem.empty()) {
        refuse(runtime, problem, asked,
               "the driver is the machine's, pip install 'onnxruntime-gpu[cuda,cudnn]' brings the rest");
    }
}

void append_tensorrt(const OnnxRuntime& runtime, OrtSessionOptions* options, const Settings& settings) {
    const OrtApi& api = runtime.api();
    constexpr const char* way_out =
        "pip install 'onnxruntime-gpu[cuda,cudnn]' brings CUDA's part, tensorrt-cu13 of version 10 TensorRT's";
    OrtTensorRTProviderOptionsV2* made = nullptr;
    auto problem = runtime.take(api.CreateTensorRTProviderOptions(&made));
    const auto held = owned(made, api.ReleaseTensorRTProviderOptions);
    const Pointers given(settings);
    if (problem.empty()) {
        problem = runtime.take(
            api.UpdateTensorRTProviderOptions(made, given.keys.data(), given.values.data(), given.keys.size()));
    }
    if (problem.empty()) problem = runtime.take(api.SessionOptionsAppendExecutionProvider_TensorRT_V2(options, made));
    if (!problem.empty()) refuse(runtime, problem, Provider::tensorrt, way_out);
}

}  // namespace dcae::core
