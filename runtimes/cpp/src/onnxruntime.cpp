#include "onnxruntime.hpp"

#include <dlfcn.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr const char* kVariable = "DCAE_ONNXRUNTIME";
// The major version of TensorRT that ONNX Runtime's provider links since its version 1.18.
constexpr int kTensorRtMajor = 10;
constexpr const char* kWayOut = "name the file with --onnxruntime, or in DCAE_ONNXRUNTIME";

std::vector<std::string> matching(const std::string& pattern) {
    glob_t found{};
    std::vector<std::string> paths;
    if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
        for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
    }
    globfree(&found);
    return paths;
}

// Where installations of Python keep a wheel's files.
std::vector<std::string> wheels() {
    std::vector<std::string> roots;
    for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
        if (const char* root = std::getenv(variable)) roots.emplace_back(root);
    }
    if (const char* home = std::getenv("HOME")) roots.push_back(std::string(home) + "/.local");
    roots.insert(roots.end(), {"/usr/local", "/usr"});
    std::vector<std::string> paths;
    for (const auto& root : roots) {
        for (const char* packages : {"site-packages", "dist-packages"}) {
            const auto found = matching(root + "/lib/python3*/" + packages + "/onnxruntime/capi/libonnxruntime.so.*");
            paths.insert(paths.end(), found.begin(), found.end());
        }
    }
    return paths;
}

// The file that a library was loaded from.
std::string loaded_path(const void* symbol, const std::string& fallback) {
    Dl_info info{};
    if (dladdr(symbol, &info) != 0 && info.dli_fname != nullptr) return info.dli_fname;
    return fallback;
}

// Load a library that stays in the process; null where it does not load.
void* load_for_good(const std::string& name) { return dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); }

// The minor version of 1.32.0.
std::uint32_t minor_of(const std::string& version) {
    const auto dot = version.find('.');
    if (dot == std::string::npos) return 0;
    return static_cast<std::uint32_t>(std::strtoul(version.c_str() + dot + 1, nullptr, 10));
}

}  // namespace

Provider provider_named(const std::string& name) {
    for (const Provider provider : {Provider::cpu, Provider::cuda, Provider::tensorrt}) {
        if (name_of(provider) == name) return provider;
    }
    fail(Status::usage, "provider ", in_quotes(name, 80), ": is none of cpu, cuda, tensorrt");
}

std::string name_of(Provider provider) {
    switch (provider) {
        case Provider::cpu: return "cpu";
        case Provider::cuda: return "cuda";
        case Provider::tensorrt: return "tensorrt";
    }
    fail(Status::fault, "a provider has no name");
}

std::string ort_name(Provider provider) {
    switch (provider) {
        case Provider::cpu: return "CPUExecutionProvider";
        case Provider::cuda: return "CUDAExecutionProvider";
        case Provider::tensorrt: return "TensorrtExecutionProvider";
    }
    fail(Status::fault, "a provider has no name in ONNX Runtime");
}

OnnxRuntime::OnnxRuntime(const std::string& path) {
    const char* named = std::getenv(kVariable);
    if (!path.empty()) {
        load(path);
    } else if (named != nullptr && *named != '\0') {
        load(named);
    } else {
        load_usual();
    }
    require(api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "dcae", &environment_));
}

OnnxRuntime::~OnnxRuntime() {
    if (environment_ != nullptr) api_->ReleaseEnv(environment_);
}

void OnnxRuntime::load(const std::string& path) {
    std::string reason;
    // Without a slash the loader would search its own folders for a file that was named.
    const auto file = path.find('/') == std::string::npos ? "./" + path : path;
    if (!try_load(file, reason)) {
        fail(Status::provider, path, ": is no ONNX Runtime that can be used: ", reason, "; ", kWayOut);
    }
}

void OnnxRuntime::load_usual() {
    std::vector<std::string> places = {"libonnxruntime.so.1", "libonnxruntime.so"};
    const auto found = wheels();
    places.insert(places.end(), found.begin(), found.end());
    std::string reason;
    std::string unusable;
    for (const auto& place : places) {
        if (try_load(place, reason)) return;
        // The loader's own names are tried on trust; a wheel that is there and does not load is worth a word.
        if (place.find('/') != std::string::npos) unusable = "; " + place + ": " + reason;
    }
    fail(Status::provider, "no ONNX Runtime is installed where it usually is", unusable, "; ", kWayOut);
}

bool OnnxRuntime::try_load(const std::string& path, std::string& reason) {
    // Builds for Linux send what they run on to their maker from 1.29 on; the interface's own call comes too late.
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    // Never unloaded: threads of the library may outlive what it was opened for.
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == nullptr) {
        const char* error = dlerror();
        reason = error == nullptr ? "it cannot be loaded" : error;
        return false;
    }
    void* symbol = dlsym(library, "OrtGetApiBase");
    dlclose(library);
    if (symbol == nullptr) {
        reason = "it has no OrtGetApiBase";
        return false;
    }
    const OrtApiBase* (*get_base)() = nullptr;
    static_assert(sizeof(get_base) == sizeof(symbol));
    std::memcpy(&get_base, &symbol, sizeof(symbol));
    const OrtApiBase* base = get_base();
    const char* version = base->GetVersionString();
    const OrtApi* api = base->GetApi(ORT_API_VERSION);
    if (api == nullptr) {
        reason = text("it is version ", version, ", at least 1.", ORT_API_VERSION, " is needed");
        return false;
    }
    base_ = base;
    api_ = api;
    version_ = version;
    path_ = loaded_path(symbol, path);
    return true;
}

const void* const* OnnxRuntime::entries(std::uint32_t version) const {
    // To be asked for a version that it does not have, the library would print a line.
    if (minor_of(version_) < version) return nullptr;
    return reinterpret_cast<const void* const*>(base_->GetApi(version));
}

std::string OnnxRuntime::folder() const { return path_.substr(0, path_.rfind('/')); }

std::optional<std::string> OnnxRuntime::packages() const {
    constexpr std::string_view of_wheel = "/onnxruntime/capi";
    const auto own = folder();
    if (own.size() <= of_wheel.size() || own.compare(own.size() - of_wheel.size(), of_wheel.size(), of_wheel) != 0) {
        return std::nullopt;
    }
    return own.substr(0, own.size() - of_wheel.size());
}

void OnnxRuntime::preload_nvidia() const {
    const auto wheels = packages();
    if (!wheels) return;
    // In an order in which each finds those before it.
    for (const char* name : {"libcudart", "libcublasLt", "libcublas", "libcurand", "libcudnn"}) {
        for (const auto& library : matching(*wheels + "/nvidia/*/lib/" + name + ".so.*")) {
            // One that does not load is missed by the provider, which says so.
            load_for_good(library);
        }
    }
}

void OnnxRuntime::preload_tensorrt(const std::string& cuda) const {
    const auto wheels = packages();
    for (const char* stem : {"libnvinfer", "libnvinfer_plugin", "libnvonnxparser"}) {
        const auto name = text(stem, ".so.", kTensorRtMajor);
        const auto of_wheel = wheels ? *wheels + "/tensorrt_libs/" + name : std::string();
        const bool has_wheel = wheels && access(of_wheel.c_str(), F_OK) == 0;
        if (load_for_good(has_wheel ? of_wheel : name) == nullptr) {
            const char* error = dlerror();
            const std::string reason = error == nullptr ? "" : one_line(error);
            // A library that is there may lack one of its own, which the loader names.
            const bool absent = reason.rfind(name + ": cannot open", 0) == 0;
            fail(Status::provider, "tensorrt: cannot load ", name, absent ? "" : " (" + reason + ")",
                 " (pip install 'tensorrt-cu", cuda.substr(0, cuda.find('.')), "==", kTensorRtMajor,
                 ".*'); nothing was run in its place");
        }
    }
}

void OnnxRuntime::preload_tensorrt_builder() const {
    const auto wheels = packages();
    if (!wheels) return;
    for (const auto& library : matching(*wheels + "/tensorrt_libs/libnvinfer_builder_resource*.so.*")) {
        if (library.find("_win") == std::string::npos) load_for_good(library);
    }
}

int OnnxRuntime::version_by(Provider provider, const char* function, int (*ask)(void*)) const {
    const auto path = folder() + "/libonnxruntime_providers_" + name_of(provider) + ".so";
    void* library = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) return -1;
    // Those that it links are searched as well, and are the ones that it calls.
    void* found = dlsym(library, function);
    const int version = found == nullptr ? -1 : ask(found);
    dlclose(library);
    return version;
}

std::string OnnxRuntime::take(OrtStatus* status) const {
    if (status == nullptr) return "";
    std::string message = api_->GetErrorMessage(status);
    api_->ReleaseStatus(status);
    return message.empty() ? "no reason given" : message;
}

void OnnxRuntime::require(OrtStatus* status) const {
    const auto message = take(status);
    if (!message.empty()) fail(Status::fault, "ONNX Runtime ", version_, " (", path_, "): ", one_line(message));
}

std::vector<std::string> OnnxRuntime::provider_names() const {
    char** names = nullptr;
    int count = 0;
    require(api_->GetAvailableProviders(&names, &count));
    const std::vector<std::string> found(names, names + count);
    require(api_->ReleaseAvailableProviders(names, count));
    return found;
}

void OnnxRuntime::require_listed(Provider provider) const {
    const auto names = provider_names();
    if (std::find(names.begin(), names.end(), ort_name(provider)) != names.end()) return;
    const bool has_driver = load_for_good("libcuda.so.1") != nullptr;
    fail(Status::provider, name_of(provider), has_driver ? ": " : ": no NVIDIA driver is here (libcuda.so.1), and ",
         "ONNX Runtime ", version_, " (", path_, ") was built without it; ", has_driver ? "" : "where there is a GPU, ",
         "name the library of a build that has it, as onnxruntime-gpu's is");
}

}  // namespace dcae::core
