#include "manifest_rules.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

// A smaller share of data or noise is lost in the rounding of a float32 state.
constexpr double kLeastShare = 1e-6;

template <typename... Parts>
[[noreturn]] void refuse(const std::string& place, const Parts&... parts) {
    fail(Status::input, kManifestName, ": ", place.empty() ? "content" : place, ": Value error, ", parts...);
}

std::set<std::string> axis_names(const std::vector<Port>& ports) {
    std::set<std::string> names;
    for (const auto& port : ports) {
        for (const auto& dim : port.shape) {
            if (!dim.is_fixed()) names.insert(dim.axis);
        }
    }
    return names;
}

void check_graph(const std::string& name, const Graph& graph) {
    const std::string place = "graphs." + name;
    if ((graph.precision == "fp16") != graph.fp32_blocks.has_value()) {
        refuse(place, "fp32_blocks goes with a precision other than fp32");
    }
    for (const auto& [axis, bounds] : graph.ranges) {
        if (bounds.min > bounds.max) {
            refuse(place + ".ranges." + axis, "min ", bounds.min, " is greater than max ", bounds.max);
        }
    }
    const auto given = axis_names(graph.inputs);
    const auto made = axis_names(graph.outputs);
    auto named = given;
    named.insert(made.begin(), made.end());
    std::set<std::string> ranged;
    for (const auto& entry : graph.ranges) ranged.insert(entry.first);
    if (named != ranged) refuse(place, "the named axes of its ports and of its ranges differ");
    for (const auto& axis : made) {
        if (given.count(axis) == 0) refuse(place, "no input has the named axis ", axis, " of the outputs");
    }
}

// signal^2 after the last training step.
double last_signal_squared(const Diffusion& diffusion, double first, double last) {
    const bool scaled = diffusion.schedule_kind == "scaled_linear";
    if (scaled) {
        first = std::sqrt(first);
        last = std::sqrt(last);
    }
    double product = 1;
    for (std::int64_t i = 0; i < diffusion.train_steps; ++i) {
        const auto at = static_cast<double>(i) / static_cast<double>(diffusion.train_steps - 1);
        const double value = first + (last - first) * at;
        product *= 1 - (scaled ? value * value : value);
    }
    return product;
}

void check_diffusion(const Diffusion& diffusion) {
    const std::string place = "diffusion";
    const bool is_flow = diffusion.schedule_kind == "flow";
    if (!(diffusion.shift >= 1e-3 && diffusion.shift <= 1e3)) {
        refuse(place, "a schedule's shift is a positive number from 0.001 to 1000, got ", diffusion.shift);
    }
    if (is_flow) {
        if (diffusion.beta_start || diffusion.beta_end) refuse(place, "a flow has no betas; beta_start and beta_end are null");
    } else {
        if (!diffusion.beta_start || !diffusion.beta_end) {
            refuse(place, "a ", diffusion.schedule_kind, " schedule needs beta_start and beta_end");
        }
        if (diffusion.shift != 1) refuse(place, "only a flow is shifted; shift is 1, got ", diffusion.shift);
        const double first = *diffusion.beta_start;
        const double last = *diffusion.beta_end;
        if (!(0 < first && first <= last && last < 1)) {
            refuse(place, "betas rise between 0 and 1, got ", first, " to ", last);
        }
        if (std::sqrt(first) < kLeastShare) refuse(place, "a beta of ", first, " adds no noise that float32 could hold");
        if (std::sqrt(last_signal_squared(diffusion, first, last)) < kLeastShare) {
            refuse(place, diffusion.train_steps, " betas from ", first, " to ", last,
                   " leave no data that float32 could hold");
        }
    }
    if ((diffusion.prediction == "velocity") != is_flow) {
        refuse(place, "velocity is predicted over a flow, epsilon and x0 over betas; got ", diffusion.prediction, " over ",
               diffusion.schedule_kind);
    }
    if (diffusion.learned_variance && is_flow) refuse(place, "a flow has no variance to learn; learned_variance is false");
    const double begin = diffusion.schedule_kind == "scaled_linear" ? 1 : 0;
    const double end = is_flow ? 1 : begin + static_cast<double>(diffusion.train_steps - 1);
    if (diffusion.timesteps != std::pair(begin, end)) {
        refuse(place, "timesteps of this schedule are ", begin, " and ", end);
    }
}

void check_conditioning(const Conditioning& conditioning) {
    const std::string place = "conditioning";
    const bool is_class = conditioning.kind == "class";
    if (conditioning.num_classes.has_value() != is_class || conditioning.null_label.has_value() != is_class) {
        refuse(place, "num_classes and null_label go with the kind class");
    }
    if (is_class && *conditioning.num_classes > *conditioning.null_label) {
        refuse(place, "null_label ", *conditioning.null_label, " is one of ", *conditioning.num_classes, " classes");
    }
    if (conditioning.class_names) {
        const auto count = static_cast<std::int64_t>(conditioning.class_names->size());
        if (!is_class || count != *conditioning.num_classes) {
            refuse(place, count, " class names for ", conditioning.num_classes.value_or(0), " classes");
        }
    }
}

void check_table(const NamedTable& named) {
    const std::string place = "samplers.tables." + named.name;
    const auto& rows = named.table.rows;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].s && rows[i].v) refuse(place + ".rows." + std::to_string(i), "a row has s or v, not both");
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].reach() > i + 1) {
            refuse(place, "row ", i, " of a sampler's table uses the last ", rows[i].reach(), " evaluations; there are ",
                   i + 1);
        }
        if (rows[i].start && (i == 0 || !rows[i - 1].base_is_x)) {
            refuse(place, "no step begins at row ", i, " of a sampler's table, which has a start");
        }
    }
}

void check_samplers(const Samplers& samplers, const Diffusion& diffusion) {
    for (const auto& named : samplers.tables) check_table(named);
    if (samplers.find(samplers.default_name) == nullptr) {
        refuse("samplers", "the default ", samplers.default_name, " is none of the tables");
    }
    for (const auto& named : samplers.tables) {
        const auto count = std::to_string(named.table.rows.size());
        if (named.name.substr(named.name.find(':') + 1) != count) refuse("samplers", named.name, " has ", count, " rows");
    }
    const auto [first, last] = diffusion.timesteps;
    for (const auto& named : samplers.tables) {
        for (const double time : named.times) {
            if (!(first <= time && time <= last)) {
                refuse("", named.name, " has a t that is not from ", first, " to ", last);
            }
        }
        if (!diffusion.learned_variance && named.table.learned_variance()) {
            refuse("", named.name, " has v, and the transformer no learned variance");
        }
    }
}

void check_listed(const Manifest& manifest) {
    std::set<std::string> missing;
    const auto look = [&](const std::string& name) {
        if (manifest.files.count(name) == 0) missing.insert(name);
    };
    for (const auto& entry : manifest.graphs) {
        look(entry.second.path);
        for (const auto& name : entry.second.data) look(name);
    }
    for (const auto& golden : manifest.golden) {
        for (const auto& entry : golden.inputs) look(entry.second);
        for (const auto& entry : golden.outputs) look(entry.second);
    }
    if (manifest.samplers) {
        for (const auto& named : manifest.samplers->tables) {
            if (named.time_features) look(*named.time_features);
        }
    }
    if (missing.empty()) return;
    const auto more = missing.size() > 1 ? text(" and ", missing.size() - 1, " more") : std::string();
    refuse("", "not listed in files: ", *missing.begin(), more);
}

void check_names(const Manifest& manifest) {
    std::set<std::string> names;
    for (const auto& entry : manifest.files) {
        if (!names.insert(folded(entry.first)).second) refuse("", "files has two names that differ only in case");
    }
    if (names.count(kManifestName) != 0) refuse("", kManifestName, " cannot list itself");
}

template <typename Paths>
bool names_ports(const Paths& paths, const std::vector<Port>& ports) {
    std::set<std::string> named;
    std::set<std::string> there;
    for (const auto& entry : paths) named.insert(entry.first);
    for (const auto& port : ports) there.insert(port.name);
    return named == there;
}

void check_golden(const Manifest& manifest) {
    for (const auto& golden : manifest.golden) {
        const Graph* graph = manifest.graph(golden.graph);
        if (graph == nullptr) refuse("", "golden case for ", golden.graph, ", which graphs does not have");
        if (!names_ports(golden.inputs, graph->inputs) || !names_ports(golden.outputs, graph->outputs)) {
            refuse("", "golden case does not name the inputs and outputs of ", golden.graph);
        }
    }
}

}  // namespace

void check_rules(const Manifest& manifest) {
    for (const auto& [name, graph] : manifest.graphs) check_graph(name, graph);
    if (manifest.diffusion) check_diffusion(*manifest.diffusion);
    if (manifest.conditioning) check_conditioning(*manifest.conditioning);
    const bool generates = manifest.graph("transformer") != nullptr;
    for (const bool there : {manifest.diffusion.has_value(), manifest.conditioning.has_value(),
                             manifest.samplers.has_value(), manifest.transformer.has_value()}) {
        if (there != generates) {
            refuse("", "diffusion, conditioning, samplers, noise and model.transformer go with a transformer");
        }
    }
    if (generates && (manifest.graph("decoder") == nullptr || !manifest.scaling_factor)) {
        refuse("", "a transformer needs a decoder and latent.scaling_factor");
    }
    if (generates) check_samplers(*manifest.samplers, *manifest.diffusion);
    check_listed(manifest);
    check_names(manifest);
    check_golden(manifest);
}

}  // namespace dcae::core
