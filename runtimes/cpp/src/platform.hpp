// The GPU and the software that a TensorRT engine is built on, and runs on only, asked of NVIDIA's own libraries.
#pragma once

#include <cstdint>
#include <string>

#include "onnxruntime.hpp"

namespace dcae::core {

struct Platform {
    std::string gpu;
    // As in 9.0.
    std::string compute_capability;
    std::int64_t gpu_memory = 0;
    std::string driver;
    std::string cuda;
    std::string tensorrt;
    std::string onnxruntime;
};

// The platform of the first GPU that CUDA sees, with the libraries of CUDA and TensorRT loaded. An Error of the status
// `provider` where one of them, the driver or a GPU is not there.
Platform platform_of(const OnnxRuntime& runtime);

}  // namespace dcae::core
