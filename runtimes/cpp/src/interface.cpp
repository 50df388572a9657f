#include "interface.hpp"

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& reason) {
    fail(Status::input, kManifestName, ": graphs.", name, ": ", reason, "; export the bundle again");
}

Port latent_port(const std::string& name, const Graph& graph, std::int64_t channels) {
    const Port* found = nullptr;
    for (const auto* ports : {&graph.inputs, &graph.outputs}) {
        for (const auto& port : *ports) {
            if (found == nullptr && port.name == "latent") found = &port;
        }
    }
    if (found == nullptr || found->shape.size() != 4) refuse(name, "it has to have a latent of four dimensions");
    const auto& shape = found->shape;
    const auto is_side = [](const Dim& dim, const char* axis) { return dim.is_fixed() || dim.axis == axis; };
    const bool batch = shape[0].is_fixed() || shape[0] == Dim{1, "batch"};
    if (!batch || !is_side(shape[2], "height") || !is_side(shape[3], "width")) {
        refuse(name, "its latent has to be [batch, channels, height, width]");
    }
    return {"latent", "float32", {shape[0], {channels, ""}, shape[2], shape[3]}};
}

Port image_port(const Port& latent, const Manifest& manifest) {
    const Dim height{manifest.downsample * latent.shape[2].size, latent.shape[2].axis};
    const Dim width{manifest.downsample * latent.shape[3].size, latent.shape[3].axis};
    const Dim colours{3, ""};
    if (manifest.uint8_images) return {"image", "uint8", {latent.shape[0], height, width, colours}};
    return {"image", "float32", {latent.shape[0], colours, height, width}};
}

// What tells the transformer the time: the number, or features of it, of which any number may be.
Port time_port(const Port& latent, const Graph& graph) {
    for (const auto& port : graph.inputs) {
        if (port.name == "time_features") {
            const auto width = port.shape.empty() ? std::int64_t{1} : port.shape.back().size;
            return {"time_features", "float32", {latent.shape[0], {width, ""}}};
        }
    }
    return {"timestep", "float32", {latent.shape[0]}};
}

struct Ports {
    std::vector<Port> inputs;
    std::vector<Port> outputs;
};

Ports expected_ports(const std::string& name, const Graph& graph, const Manifest& manifest) {
    const Port latent = latent_port(name, graph, manifest.channels);
    const Port image = image_port(latent, manifest);
    if (name == "encoder") return {{image}, {latent}};
    if (name == "decoder") return {{latent}, {image}};
    Ports ports{{latent, time_port(latent, graph)}, {}};
    if (manifest.conditioning->kind == "class") ports.inputs.push_back({"label", "int64", {latent.shape[0]}});
    Port output = latent;
    output.name = "output";
    output.shape[1].size *= manifest.diffusion->learned_variance ? 2 : 1;
    ports.outputs.push_back(output);
    return ports;
}

void check_ports(const std::string& name, const char* what, const std::vector<Port>& ports,
                 const std::vector<Port>& expected) {
    if (ports == expected) return;
    std::vector<std::string> texts;
    for (const auto& port : expected) texts.push_back(port.as_text());
    refuse(name, text("its ", what, " have to be ", joined(texts, ", ")));
}

void check_call(const Manifest& manifest, const std::string& name, std::int64_t batch) {
    const auto [rows, columns] = manifest.default_grid();
    if (!manifest.graph(name)->latent_axes(batch, manifest.channels, rows, columns)) {
        refuse(name, text("it has to take latents of ", rows, " x ", columns, ", ", batch, " at a time"));
    }
}

}  // namespace

void check_interface(const Manifest& manifest) {
    for (const auto& [name, graph] : manifest.graphs) {
        const Ports expected = expected_ports(name, graph, manifest);
        check_ports(name, "inputs", graph.inputs, expected.inputs);
        check_ports(name, "outputs", graph.outputs, expected.outputs);
    }
    if (!manifest.samplers) return;
    const bool takes_features = manifest.graph("transformer")->inputs.at(1).name == "time_features";
    for (const auto& named : manifest.samplers->tables) {
        if (named.time_features.has_value() != takes_features) {
            refuse("transformer", text("time_features are its input just where ", named.name, " has them"));
        }
    }
    check_call(manifest, "transformer", 1);
    check_call(manifest, "decoder", 1);
    // Guidance runs the label and the null label in one call.
    if (manifest.conditioning->kind == "class") check_call(manifest, "transformer", 2);
}

}  // namespace dcae::core
