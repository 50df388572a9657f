// Run one graph of a bundle: named arrays in, named arrays out, checked against the manifest.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "array.hpp"
#include "bundle.hpp"
#include "cancel.hpp"
#include "error.hpp"
#include "onnxruntime.hpp"
#include "provider_settings.hpp"

namespace dcae::core {

using Named = std::map<std::string, AnyArray>;

struct SessionOptions {
    Provider provider = Provider::cpu;
    // Inside one operator; 0 is one per physical core.
    int threads = 0;
    // Bytes of a run.
    std::optional<std::int64_t> memory_limit;
    // What ONNX Runtime is told of TensorRT, and the file of a finished engine, which takes the place of the graph's.
    Settings tensorrt;
    std::string context;
};

// A graph of TensorRT whose engine is none of this TensorRT and GPU.
class UnreadableEngine : public Error {
public:
    using Error::Error;
};

class Session {
public:
    Session(const OnnxRuntime& runtime, const GraphFiles& files, const SessionOptions& options);

    // Fail with the status `provider` where ONNX Runtime gave nodes that compute to another provider than was asked for.
    void require_placement() const;

    // The outputs by name, for inputs that `checked_axes` takes; an output that is not finite is one of the status `parity`.
    Named run(const Named& inputs, Cancellation& cancellation) const;

    const Graph& graph() const { return graph_; }

private:
    Named outputs_of(OrtValue* const* values, const Axes& axes) const;
    [[noreturn]] void refuse(const std::string& message, const char* what) const;

    const OnnxRuntime& runtime_;
    Graph graph_;
    Provider provider_;
    std::string name_;
    std::optional<std::int64_t> memory_limit_;
    OrtOwned<OrtSession> session_;
};

// The named axes of a run with these inputs. An Error of the status `usage` where their names, dtypes and shapes are not
// those of the manifest.
Axes checked_axes(const Graph& graph, const Named& inputs);

}  // namespace dcae::core
