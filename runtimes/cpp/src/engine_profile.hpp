// The shapes that a TensorRT engine is built for.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "array.hpp"
#include "manifest.hpp"

namespace dcae::core {

// How long the builder looks for the fastest kernels, 0 to 5.
constexpr int kBuilderLevel = 3;

// The values of a named axis that one engine takes; it is fastest at `best`.
struct AxisProfile {
    std::int64_t least = 1;
    std::int64_t best = 1;
    std::int64_t most = 1;
};
using EngineAxes = std::map<std::string, AxisProfile>;

struct InputProfile {
    std::string name;
    Shape least;
    Shape best;
    Shape most;
};

// The values of each named axis that an engine of a graph for a run at `axes` is to take: that of the run, and of the
// batch all those up to it, as the last pictures of a request are fewer.
EngineAxes engine_axes(const Graph& graph, const Axes& axes);

// The best values alone.
Axes best_axes(const EngineAxes& axes);

// Whether an engine runs at these axes.
bool takes(const EngineAxes& engine, const Axes& axes);

// The shapes of the graph's inputs that have a named axis.
std::vector<InputProfile> input_profiles(const Graph& graph, const EngineAxes& axes);

}  // namespace dcae::core
