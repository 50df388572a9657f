// Which provider runs each node of a graph: ONNX Runtime gives the CPU what the asked provider has no kernel for.
#pragma once

#include <onnxruntime_c_api.h>

#include <string>

#include "manifest.hpp"
#include "onnxruntime.hpp"

namespace dcae::core {

// Let a session that is to be opened with `options` keep what `require_placement` asks for. An Error of the status
// `provider` where this ONNX Runtime cannot.
void record_placement(const OnnxRuntime& runtime, OrtSessionOptions* options, Provider provider);

// Fail with the status `provider` unless a session runs where it was asked to; ONNX Runtime itself only logs that it
// does not. The arithmetic of shapes stays on the CPU on purpose.
void require_placement(const OnnxRuntime& runtime, const OrtSession* session, Provider provider, const Graph& graph,
                       const std::string& name);

}  // namespace dcae::core
