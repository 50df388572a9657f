#include "manifest.hpp"

#include <algorithm>

#include "error.hpp"
#include "interface.hpp"
#include "manifest_reader.hpp"
#include "manifest_rules.hpp"

namespace dcae::core {

std::optional<Axes> Port::axes(const Shape& of) const {
    if (of.size() != shape.size()) return std::nullopt;
    Axes found;
    for (std::size_t i = 0; i < of.size(); ++i) {
        const Dim& dim = shape[i];
        if (dim.is_fixed()) {
            if (dim.size != of[i]) return std::nullopt;
            continue;
        }
        if (of[i] % dim.size != 0) return std::nullopt;
        const auto value = of[i] / dim.size;
        if (found.emplace(dim.axis, value).first->second != value) return std::nullopt;
    }
    return found;
}

Shape Port::resolve(const Axes& axes) const {
    Shape sizes;
    for (const auto& dim : shape) sizes.push_back(dim.is_fixed() ? dim.size : dim.size * axes.at(dim.axis));
    return sizes;
}

std::string Port::dims_text() const {
    std::string dims = "[";
    for (const auto& dim : shape) {
        if (dims.size() > 1) dims += ", ";
        if (dim.is_fixed()) {
            dims += std::to_string(dim.size);
        } else {
            dims += dim.size == 1 ? dim.axis : std::to_string(dim.size) + "*" + dim.axis;
        }
    }
    return dims + "]";
}

std::string Port::as_text() const { return name + " " + dtype + " " + dims_text(); }

std::optional<std::string> Graph::outside(const Axes& axes) const {
    for (const auto& [name, bounds] : ranges) {
        const auto value = axes.at(name);
        if (value < bounds.min || value > bounds.max) return name;
    }
    return std::nullopt;
}

std::optional<Axes> Graph::latent_axes(std::int64_t rows, std::int64_t channels, std::int64_t height,
                                       std::int64_t width) const {
    const auto batch = std::max(rows, fixed_rows().value_or(rows));
    auto axes = inputs.at(0).axes({batch, channels, height, width});
    if (axes && outside(*axes)) return std::nullopt;
    return axes;
}

std::optional<std::int64_t> Graph::fixed_rows() const {
    const Dim& batch = inputs.at(0).shape.at(0);
    return batch.is_fixed() ? std::optional(batch.size) : std::nullopt;
}

const NamedTable* Samplers::find(const std::string& name) const {
    const auto found =
        std::find_if(tables.begin(), tables.end(), [&name](const NamedTable& one) { return one.name == name; });
    return found == tables.end() ? nullptr : &*found;
}

const Graph* Manifest::graph(const std::string& name) const {
    const auto found =
        std::find_if(graphs.begin(), graphs.end(), [&name](const auto& entry) { return entry.first == name; });
    return found == graphs.end() ? nullptr : &found->second;
}

bool Manifest::has_random_weights() const {
    const auto drawn = [](const Network& network) { return network.weights.rfind("random:", 0) == 0; };
    return drawn(autoencoder) || (transformer && drawn(*transformer));
}

std::pair<std::int64_t, std::int64_t> Manifest::default_grid() const {
    const auto& shape = graph("transformer")->inputs.at(0).shape;
    return {shape.at(2).is_fixed() ? shape[2].size : diffusion->grid_rows,
            shape.at(3).is_fixed() ? shape[3].size : diffusion->grid_columns};
}

bool is_plain_path(const std::string& path) {
    bool begins = true;
    for (const char c : path) {
        const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (begins ? !letter : !(letter || c == '.' || c == '-' || c == '/')) return false;
        begins = c == '/';
    }
    return !begins;
}

Manifest parse_manifest(const std::string& text) {
    Json json = parse_json(text);
    if (!json.is_object()) fail(Status::input, kManifestName, ": must hold one JSON object");
    const auto version = json.find("format_version");
    if (version == json.end() || !version->is_number_integer()) {
        // An integer of more than 64 bits is one that JSON's library holds as a double.
        fail(Status::input, kManifestName, ": format_version must be an integer");
    }
    // No integer of the parser's is both negative and unsigned.
    const auto number = version->is_number_unsigned() ? version->get<std::uint64_t>() : 0;
    if (number != kFormatVersion) {
        if (number > kFormatVersion) {
            fail(Status::input, kManifestName, ": format_version ", *version, " is newer than ", kFormatVersion,
                 ", the newest that this version reads; update dcae-export");
        }
        fail(Status::input, kManifestName, ": format_version ", *version, " does not exist");
    }
    Manifest manifest = read_manifest_content(json);
    check_rules(manifest);
    check_interface(manifest);
    manifest.json = std::move(json);
    return manifest;
}

}  // namespace dcae::core
