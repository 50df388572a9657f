// Open a graph with TensorRT: its engine from the cache, or built into it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cancel.hpp"
#include "engine_profile.hpp"
#include "session.hpp"

namespace dcae::core {

struct EngineOptions {
    // What layers may compute in: fp32, fp16, bf16, or graph: the graph's own types, in an engine that
    // `dcae engine build` made.
    std::string precision = "fp32";
    // The folder that engines are kept in; empty: that of the user's cache.
    std::string cache;
};

// A session, and the axes that its engine takes; one without an engine takes all.
struct EngineSession {
    std::unique_ptr<Session> session;
    EngineAxes axes;
};

// An Error of the status `usage` where the precision has no such name, or the provider builds no engines.
void check(const EngineOptions& engine, Provider provider);

// Load the engine of a graph for a run at these axes, or build it; one that turns out to be damaged is built again,
// once. A new engine is compared with what CUDA computes before it is kept, and is an Error of the status `parity` where
// it is farther off than float16 may be. `files_unchanged` fails where the graph's files are no longer those that were
// hashed: nothing is kept then.
EngineSession open_engine(const OnnxRuntime& runtime, const GraphFiles& files, const SessionOptions& options,
                          const EngineOptions& engine, const Axes& axes, Cancellation& cancellation,
                          const std::function<void()>& files_unchanged);

}  // namespace dcae::core
