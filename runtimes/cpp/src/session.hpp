// Run one graph of a bundle: named arrays in, named arrays out, checked against the manifest.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "array.hpp"
#include "bundle.hpp"
#include "cancel.hpp"
#include "onnxruntime.hpp"

namespace dcae::core {

using Named = std::map<std::string, AnyArray>;

class Session {
public:
    // `threads` inside one operator; 0 is one per physical core. `memory_limit` is that of a run.
    Session(const OnnxRuntime& runtime, const GraphFiles& files, Provider provider, int threads,
            std::optional<std::int64_t> memory_limit);

    // The outputs by name. Names, dtypes and shapes of the inputs are those of the manifest, or it is an Error of the
    // status `usage`; an output that is not finite is one of the status `parity`.
    Named run(const Named& inputs, Cancellation& cancellation) const;

    const Graph& graph() const { return graph_; }

private:
    Axes check(const Named& inputs) const;
    Named outputs_of(OrtValue* const* values, const Axes& axes) const;
    [[noreturn]] void refuse(const std::string& message, const char* what) const;

    const OnnxRuntime& runtime_;
    Graph graph_;
    Provider provider_;
    std::string name_;
    std::optional<std::int64_t> memory_limit_;
    OrtOwned<OrtSession> session_;
};

}  // namespace dcae::core
