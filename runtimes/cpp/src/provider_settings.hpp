// What ONNX Runtime is told of an execution provider: its names, and the values of Python, which says why.
#pragma once

#include <onnxruntime_c_api.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "engine_profile.hpp"
#include "onnxruntime.hpp"

namespace dcae::core {

using Settings = std::map<std::string, std::string>;

// Where the engine of a graph lies, or is to, and the shapes it is for; `timings` is the folder of measured layers.
struct EngineFiles {
    std::string folder;
    std::vector<InputProfile> inputs;
    std::string timings;
};

Settings cuda_settings(std::optional<std::int64_t> memory_limit);

// `precision` is what layers may compute in: fp32, fp16, bf16, or graph. Without files the engine is a finished one.
Settings tensorrt_settings(const std::string& precision, const EngineFiles* files);

// Give a session that is to be opened with `options` a provider. An Error of the status `provider` where it, or what it
// links, cannot be loaded; `asked` is the provider that the user named.
void append_cuda(const OnnxRuntime& runtime, OrtSessionOptions* options, const Settings& settings, Provider asked);
void append_tensorrt(const OnnxRuntime& runtime, OrtSessionOptions* options, const Settings& settings);

}  // namespace dcae::core
