#include "engine_profile.hpp"

#include <algorithm>

#include "error.hpp"

namespace dcae::core {
namespace {

Axes values_of(const EngineAxes& axes, std::int64_t AxisProfile::*which) {
    Axes values;
    for (const auto& [name, profile] : axes) values.emplace(name, profile.*which);
    return values;
}

}  // namespace

EngineAxes engine_axes(const Graph& graph, const Axes& axes) {
    EngineAxes found;
    for (const auto& [name, bounds] : graph.ranges) {
        const auto at = axes.find(name);
        if (at == axes.end()) fail(Status::usage, "an engine is built for one size; run it for some ", name);
        const auto value = at->second;
        const AxisProfile one{name == "batch" ? bounds.min : value, value, value};
        if (one.least < bounds.min || one.most < one.least || one.most > bounds.max) {
            fail(Status::usage, graph.path, ": ", name, " is ", value, ", the graph takes ", bounds.min, " to ", bounds.max);
        }
        found.emplace(name, one);
    }
    return found;
}

Axes best_axes(const EngineAxes& axes) { return values_of(axes, &AxisProfile::best); }

bool takes(const EngineAxes& engine, const Axes& axes) {
    return std::all_of(engine.begin(), engine.end(), [&](const auto& entry) {
        const auto at = axes.find(entry.first);
        return at != axes.end() && entry.second.least <= at->second && at->second <= entry.second.most;
    });
}

std::vector<InputProfile> input_profiles(const Graph& graph, const EngineAxes& axes) {
    const Axes least = values_of(axes, &AxisProfile::least);
    const Axes best = values_of(axes, &AxisProfile::best);
    const Axes most = values_of(axes, &AxisProfile::most);
    std::vector<InputProfile> found;
    for (const auto& port : graph.inputs) {
        const bool dynamic =
            std::any_of(port.shape.begin(), port.shape.end(), [](const Dim& dim) { return !dim.is_fixed(); });
        if (dynamic) found.push_back({port.name, port.resolve(least), port.resolve(best), port.resolve(most)});
    }
    return found;
}

}  // namespace dcae::core
