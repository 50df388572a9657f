// ONNX Runtime's library, loaded while the program runs.
#pragma once

#include <onnxruntime_c_api.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dcae::core {

enum class Provider { cpu, cuda, tensorrt };

// A provider by its name: cpu, cuda or tensorrt.
Provider provider_named(const std::string& name);
std::string name_of(Provider provider);
// Its name in ONNX Runtime.
std::string ort_name(Provider provider);

// A loaded library with its environment. It stays in the process: ONNX Runtime is not made to be unloaded.
class OnnxRuntime {
public:
    // Load `path`; where that is empty, the file that DCAE_ONNXRUNTIME names; where that is not set, the first that
    // loads of the usual places. Nothing else is tried in place of a file that was named.
    explicit OnnxRuntime(const std::string& path);
    ~OnnxRuntime();
    OnnxRuntime(const OnnxRuntime&) = delete;
    OnnxRuntime& operator=(const OnnxRuntime&) = delete;

    const OrtApi& api() const { return *api_; }
    // The functions of a newer version of the API, in their order; null where the library is older than that.
    const void* const* entries(std::uint32_t version) const;
    const OrtEnv* environment() const { return environment_; }
    const std::string& path() const { return path_; }
    // That of `path`.
    std::string folder() const;
    const std::string& version() const { return version_; }

    // The text of a status that ONNX Runtime returned, which is released; empty where there was none.
    std::string take(OrtStatus* status) const;
    // An Error of the status `fault` where a call failed that does not depend on what a user gave.
    void require(OrtStatus* status) const;
    // The providers that the build knows, by ONNX Runtime's names.
    std::vector<std::string> provider_names() const;
    // An Error of the status `provider` where it lacks one; a provider that it has may still fail to load.
    void require_listed(Provider provider) const;
    // Load what NVIDIA's wheels brought beside that of a wheel of ONNX Runtime, whose provider looks for it by name.
    void preload_nvidia() const;
    // Load TensorRT's libraries, from its wheel beside that of ONNX Runtime or from where the system's loader looks. An
    // Error of the status `provider` where one is missing; `cuda` is the version of CUDA that it is to go with.
    void preload_tensorrt(const std::string& cuda) const;
    // Load what TensorRT builds engines with, which it looks for by name and nowhere near itself.
    void preload_tensorrt_builder() const;
    // What `ask` gives of a function of the libraries that a loaded provider links, of several that may be in the
    // process; -1 where there is none.
    int version_by(Provider provider, const char* function, int (*ask)(void* function)) const;

private:
    // The folder of wheels that the library is installed in; none where it is not that of a wheel.
    std::optional<std::string> packages() const;
    void load(const std::string& path);
    void load_usual();
    bool try_load(const std::string& path, std::string& reason);

    const OrtApiBase* base_ = nullptr;
    const OrtApi* api_ = nullptr;
    OrtEnv* environment_ = nullptr;
    std::string path_;
    std::string version_;
};

// ONNX Runtime's objects, released by the library that made them.
template <typename Object>
struct OrtRelease {
    void (*release)(Object*) = nullptr;
    void operator()(Object* object) const {
        if (object != nullptr) release(object);
    }
};

template <typename Object>
using OrtOwned = std::unique_ptr<Object, OrtRelease<Object>>;

template <typename Object>
OrtOwned<Object> owned(Object* object, void (*release)(Object*)) {
    return {object, OrtRelease<Object>{release}};
}

}  // namespace dcae::core
