#include "session.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "memory.hpp"
#include "npy.hpp"
#include "placement.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr const char* kCudaFailure = "CUDA failure ";
constexpr const char* kFolderOfWeights = "session.model_external_initializers_file_folder_path";

template <typename Element>
struct ElementOf;
template <>
struct ElementOf<float> {
    static constexpr auto ort = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    static constexpr const char* name = "float32";
};
template <>
struct ElementOf<std::uint8_t> {
    static constexpr auto ort = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    static constexpr const char* name = "uint8";
};
template <>
struct ElementOf<std::int64_t> {
    static constexpr auto ort = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    static constexpr const char* name = "int64";
};

bool is_memory(const std::string& message) {
    std::string lower = message;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    for (const char* sign : {"bad alloc", "bad_alloc", "failed to allocate", "out of memory", "out_of_memory",
                             "is smaller than requested bytes", "cudnn_status_alloc_failed"}) {
        if (lower.find(sign) != std::string::npos) return true;
    }
    return false;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string real_path(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path.c_str(), nullptr), &std::free);
    return resolved ? std::string(resolved.get()) : path;
}

OrtOwned<OrtSessionOptions> session_options(const OnnxRuntime& runtime, int threads) {
    const OrtApi& api = runtime.api();
    OrtSessionOptions* made = nullptr;
    runtime.require(api.CreateSessionOptions(&made));
    auto options = owned(made, api.ReleaseSessionOptions);
    // The plan holds a buffer from its first use to its last, however far apart: without it the peak is lower.
    runtime.require(api.DisableMemPattern(made));
    runtime.require(api.SetSessionLogSeverityLevel(made, ORT_LOGGING_LEVEL_FATAL));
    if (threads > 0) runtime.require(api.SetIntraOpNumThreads(made, threads));
    return options;
}

OrtOwned<OrtValue> tensor_over(const OnnxRuntime& runtime, const OrtMemoryInfo* memory, const AnyArray& array) {
    return std::visit(
        [&](const auto& values) {
            using Element = typename std::decay_t<decltype(values)>;
            using Value = typename decltype(values.data)::value_type;
            static_assert(std::is_same_v<Element, Array<Value>>);
            OrtValue* made = nullptr;
            // An input is not written to; the C interface has no word for that.
            auto* data = const_cast<Value*>(values.data.data());
            runtime.require(runtime.api().CreateTensorWithDataAsOrtValue(
                memory, data, values.data.size() * sizeof(Value), values.shape.data(), values.shape.size(),
                ElementOf<Value>::ort, &made));
            return owned(made, runtime.api().ReleaseValue);
        },
        array);
}

template <typename Element>
AnyArray copied(const OnnxRuntime& runtime, OrtValue* value, const Shape& shape) {
    void* data = nullptr;
    runtime.require(runtime.api().GetTensorMutableData(value, &data));
    Array<Element> array(shape);
    if (!array.data.empty()) std::memcpy(array.data.data(), data, array.data.size() * sizeof(Element));
    return array;
}

}  // namespace

Session::Session(const OnnxRuntime& runtime, const GraphFiles& files, const SessionOptions& options)
    : runtime_(runtime),
      graph_(*files.graph),
      provider_(options.provider),
      name_(file_name(files.path)),
      memory_limit_(options.memory_limit) {
    runtime.require_listed(provider_);
    const auto weights = saturated_product({widening(graph_, provider_)}, files.weight_bytes);
    // Weights of a GPU's graph go through this machine's memory.
    require_memory(weights, name_ + ": loading its weights", Provider::cpu);
    const OrtApi& api = runtime.api();
    const auto settings = session_options(runtime, options.threads);
    runtime.require(api.AddSessionConfigEntry(settings.get(), kFolderOfWeights, real_path(files.folder).c_str()));
    if (provider_ != Provider::cpu) record_placement(runtime, settings.get(), provider_);
    // In the order in which they may take nodes.
    if (provider_ == Provider::tensorrt) append_tensorrt(runtime, settings.get(), options.tensorrt);
    if (provider_ != Provider::cpu) append_cuda(runtime, settings.get(), cuda_settings(memory_limit_), provider_);
    OrtSession* made = nullptr;
    const auto problem = runtime.take(
        options.context.empty()
            ? api.CreateSessionFromArray(runtime.environment(), files.model.data(), files.model.size(), settings.get(), &made)
            : api.CreateSession(runtime.environment(), options.context.c_str(), settings.get(), &made));
    session_ = owned(made, api.ReleaseSession);
    if (!problem.empty()) refuse(problem, "cannot be loaded");
}

void Session::require_placement() const {
    if (provider_ != Provider::cpu) core::require_placement(runtime_, session_.get(), provider_, graph_, name_);
}

Named Session::run(const Named& inputs, Cancellation& cancellation) const {
    cancellation.check();
    const Axes axes = checked_axes(graph_, inputs);
    require_memory(run_bytes(graph_, axes, provider_), name_ + ": running at this size", provider_, memory_limit_);
    const OrtApi& api = runtime_.api();
    OrtMemoryInfo* memory_made = nullptr;
    runtime_.require(api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_made));
    const auto memory = owned(memory_made, api.ReleaseMemoryInfo);
    OrtRunOptions* options_made = nullptr;
    runtime_.require(api.CreateRunOptions(&options_made));
    const auto options = owned(options_made, api.ReleaseRunOptions);

    std::vector<OrtOwned<OrtValue>> values;
    std::vector<const OrtValue*> given;
    std::vector<const char*> input_names;
    for (const auto& port : graph_.inputs) {
        values.push_back(tensor_over(runtime_, memory.get(), inputs.at(port.name)));
        given.push_back(values.back().get());
        input_names.push_back(port.name.c_str());
    }
    std::vector<const char*> output_names;
    for (const auto& port : graph_.outputs) output_names.push_back(port.name.c_str());
    std::vector<OrtValue*> results(output_names.size(), nullptr);
    std::string problem;
    {
        // A run that is told to stop before it begins stops at its first node.
        const Cancellation::Interruptible interruptible(
            cancellation, [&api, run = options.get()] { api.ReleaseStatus(api.RunOptionsSetTerminate(run)); });
        problem = runtime_.take(api.Run(session_.get(), options.get(), input_names.data(), given.data(), given.size(),
                                        output_names.data(), output_names.size(), results.data()));
    }
    std::vector<OrtOwned<OrtValue>> made;
    for (auto* result : results) made.push_back(owned(result, api.ReleaseValue));
    cancellation.check();
    if (!problem.empty()) refuse(problem, "failed");
    return outputs_of(results.data(), axes);
}

Axes checked_axes(const Graph& graph, const Named& inputs) {
    const auto name = file_name(graph.path);
    if (inputs.size() != graph.inputs.size()) fail(Status::usage, name, ": takes ", graph.inputs.size(), " arrays");
    Axes axes;
    for (const auto& port : graph.inputs) {
        const auto found = inputs.find(port.name);
        if (found == inputs.end()) fail(Status::usage, name, ": takes ", port.name, ", which is not there");
        const auto [dtype, shape] = std::visit(
            [](const auto& array) {
                using Value = typename std::decay_t<decltype(array.data)>::value_type;
                return std::pair<std::string, Shape>(ElementOf<Value>::name, array.shape);
            },
            found->second);
        if (dtype != port.dtype) fail(Status::usage, name, ": ", port.name, " is ", port.dtype, ", got ", dtype);
        const auto values = port.axes(shape);
        bool fits = values.has_value();
        if (values) {
            for (const auto& [axis, value] : *values) fits = fits && axes.emplace(axis, value).first->second == value;
        }
        if (!fits) {
            fail(Status::usage, name, ": ", port.name, " has shape ", port.dims_text(), ", got ", shape_text(shape));
        }
    }
    if (const auto axis = graph.outside(axes)) {
        const auto& bounds = graph.ranges.at(*axis);
        fail(Status::usage, name, ": ", *axis, " is ", axes.at(*axis), ", the graph takes ", bounds.min, " to ",
             bounds.max);
    }
    return axes;
}

Named Session::outputs_of(OrtValue* const* values, const Axes& axes) const {
    const OrtApi& api = runtime_.api();
    Named outputs;
    for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
        const Port& port = graph_.outputs[i];
        const Shape expected = port.resolve(axes);
        OrtTensorTypeAndShapeInfo* made = nullptr;
        runtime_.require(api.GetTensorTypeAndShape(values[i], &made));
        const auto info = owned(made, api.ReleaseTensorTypeAndShapeInfo);
        ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        std::size_t rank = 0;
        runtime_.require(api.GetTensorElementType(made, &type));
        runtime_.require(api.GetDimensionsCount(made, &rank));
        Shape shape(rank);
        runtime_.require(api.GetDimensions(made, shape.data(), rank));
        const auto wanted = port.dtype == "float32" ? ElementOf<float>::ort : ElementOf<std::uint8_t>::ort;
        if (type != wanted || shape != expected) {
            fail(Status::input, name_, ": output ", port.name, " has the shape ", shape_text(shape), ", ",
                 kManifestName, " says ", port.dtype, " ", shape_text(expected), "; export the bundle again");
        }
        if (wanted == ElementOf<std::uint8_t>::ort) {
            outputs.emplace(port.name, copied<std::uint8_t>(runtime_, values[i], shape));
            continue;
        }
        auto array = copied<float>(runtime_, values[i], shape);
        const auto& floats = std::get<Floats>(array).data;
        if (!std::all_of(floats.begin(), floats.end(), [](float value) { return std::isfinite(value); })) {
            fail(Status::parity, name_, ": output ", port.name, " is not finite; nothing was written");
        }
        outputs.emplace(port.name, std::move(array));
    }
    return outputs;
}

void Session::refuse(const std::string& message, const char* what) const {
    if (is_memory(message)) fail(Status::resource, name_, ": ", what, ": not enough memory; try a smaller size");
    const auto line = one_line(message);
    for (const char* sign : {"could not deserialize engine", "failed to deserialize engine"}) {
        if (line.find(sign) != std::string::npos) {
            throw UnreadableEngine(Status::input, text(name_, ": ", what, ": ", line.substr(0, 300)));
        }
    }
    // As in "CUDA failure 100: no CUDA-capable device is detected ; GPU=...".
    const auto failure = line.find(kCudaFailure);
    if (failure != std::string::npos) {
        fail(Status::provider, name_of(provider_), ": ", line.substr(failure, line.find(" ;", failure) - failure));
    }
    fail(Status::input, name_, ": ", what, ": ", line.substr(0, 300));
}

}  // namespace dcae::core
