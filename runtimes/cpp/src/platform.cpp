#include "platform.hpp"

#include <dlfcn.h>

#include <array>
#include <cstring>

#include "error.hpp"
#include "provider_settings.hpp"

namespace dcae::core {
namespace {

constexpr const char* kDriverLibrary = "libcuda.so.1";
constexpr const char* kManagementLibrary = "libnvidia-ml.so.1";
// CUdevice_attribute of cuda.h.
constexpr int kCapabilityMajor = 75;
constexpr int kCapabilityMinor = 76;
constexpr std::size_t kNameBytes = 256;
using Name = std::array<char, kNameBytes>;

void* load(const char* name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); }

template <typename... Parameters>
int (*function_at(void* found))(Parameters...) {
    int (*function)(Parameters...) = nullptr;
    static_assert(sizeof(function) == sizeof(found));
    std::memcpy(&function, &found, sizeof(found));
    return function;
}

// Call a function of a library with what it takes, in exactly its types; -1 where there is none of this name.
template <typename... Parameters>
int call(void* library, const char* name, Parameters... given) {
    void* found = library == nullptr ? nullptr : dlsym(library, name);
    return found == nullptr ? -1 : function_at<Parameters...>(found)(given...);
}

[[noreturn]] void refuse(const std::string& why) { fail(Status::provider, "tensorrt: ", why); }

void ask_gpu(Platform& platform) {
    void* cuda = load(kDriverLibrary);
    if (cuda == nullptr) {
        refuse(text("cannot load ", kDriverLibrary, " (the NVIDIA driver; in a container: docker run --gpus all)"));
    }
    int device = 0;
    Name name{};
    std::size_t memory = 0;
    int major = 0;
    int minor = 0;
    const bool found = call(cuda, "cuInit", 0U) == 0 && call(cuda, "cuDeviceGet", &device, 0) == 0 &&
                       call(cuda, "cuDeviceGetName", name.data(), static_cast<int>(name.size()), device) == 0 &&
                       call(cuda, "cuDeviceTotalMem_v2", &memory, device) == 0 &&
                       call(cuda, "cuDeviceGetAttribute", &major, kCapabilityMajor, device) == 0 &&
                       call(cuda, "cuDeviceGetAttribute", &minor, kCapabilityMinor, device) == 0;
    if (!found) refuse("no NVIDIA GPU is here; run it where there is one, or with --provider cpu");
    platform.gpu = name.data();
    platform.compute_capability = text(major, ".", minor);
    platform.gpu_memory = static_cast<std::int64_t>(memory);
}

void ask_driver(Platform& platform) {
    void* nvml = load(kManagementLibrary);
    Name version{};
    bool found = call(nvml, "nvmlInit_v2") == 0;
    if (found) {
        const auto size = static_cast<unsigned>(version.size());
        found = call(nvml, "nvmlSystemGetDriverVersion", version.data(), size) == 0;
        call(nvml, "nvmlShutdown");
    }
    if (!found) refuse("the NVIDIA driver does not say its version, and an engine is kept by it; install the driver with libnvidia-ml");
    platform.driver = version.data();
}

int cuda_number(void* found) {
    int number = 0;
    return function_at<int*>(found)(&number) == 0 ? number : -1;
}

int tensorrt_number(void* found) { return function_at<>(found)(); }

// What ONNX Runtime's providers link is known once a session was told of them.
void ask_libraries(Platform& platform, const OnnxRuntime& runtime) {
    OrtSessionOptions* made = nullptr;
    runtime.require(runtime.api().CreateSessionOptions(&made));
    const auto options = owned(made, runtime.api().ReleaseSessionOptions);
    constexpr const char* way_out = ", and an engine is kept by it; install onnxruntime-gpu's wheel, which links it";
    append_cuda(runtime, made, cuda_settings(std::nullopt), Provider::tensorrt);
    const int cuda = runtime.version_by(Provider::cuda, "cudaRuntimeGetVersion", cuda_number);
    if (cuda < 0) refuse(runtime.path() + ": does not say which CUDA it runs with" + way_out);
    platform.cuda = text(cuda / 1000, ".", cuda % 1000 / 10);
    runtime.preload_tensorrt(platform.cuda);
    append_tensorrt(runtime, made, tensorrt_settings("fp32", nullptr));
    const int tensorrt = runtime.version_by(Provider::tensorrt, "getInferLibVersion", tensorrt_number);
    if (tensorrt < 0) refuse(runtime.path() + ": does not say which TensorRT it runs with" + way_out);
    platform.tensorrt = text(tensorrt / 10000, ".", tensorrt / 100 % 100, ".", tensorrt % 100);
}

}  // namespace

Platform platform_of(const OnnxRuntime& runtime) {
    Platform platform;
    ask_libraries(platform, runtime);
    platform.onnxruntime = runtime.version();
    ask_gpu(platform);
    ask_driver(platform);
    return platform;
}

}  // namespace dcae::core
