#include "onnxruntime.hpp"

#include <dlfcn.h>
#include <glob.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr const char* kVariable = "DCAE_ONNXRUNTIME";
constexpr const char* kWayOut = "name the file with --onnxruntime, or in DCAE_ONNXRUNTIME";

std::string ort_name(Provider provider) {
    switch (provider) {
        case Provider::cuda: return "CUDAExecutionProvider";
        case Provider::tensorrt: return "TensorrtExecutionProvider";
        case Provider::cpu: break;
    }
    return "CPUExecutionProvider";
}

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

}  // namespace

Provider provider_named(const std::string& name) {
    for (const Provider provider : {Provider::cpu, Provider::cuda, Provider::tensorrt}) {
        if (name_of(provider) == name) return provider;
    }
    fail(Status::usage, "provider ", quoted(name, 80), ": is none of cpu, cuda and tensorrt");
}

std::string name_of(Provider provider) {
    switch (provider) {
        case Provider::cuda: return "cuda";
        case Provider::tensorrt: return "tensorrt";
        case Provider::cpu: break;
    }
    return "cpu";
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
    if (!try_load(file, reason)) fail(Status::provider, path, ": is no ONNX Runtime that can be used: ", reason, "; ", kWayOut);
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
    api_ = api;
    version_ = version;
    path_ = loaded_path(symbol, path);
    return true;
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

bool OnnxRuntime::lists(Provider provider) const {
    const auto names = provider_names();
    return std::find(names.begin(), names.end(), ort_name(provider)) != names.end();
}

}  // namespace dcae::core
