// The manifest of a bundle: docs/bundle-format.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "array.hpp"
#include "json.hpp"
#include "sampler.hpp"

namespace dcae::core {

constexpr const char* kManifestName = "manifest.json";
constexpr std::int64_t kFormatVersion = 1;

// Values of the named axes: batch, height, width.
using Axes = std::map<std::string, std::int64_t>;

// A dimension: a fixed size, or a factor of a named axis.
struct Dim {
    std::int64_t size = 1;
    std::string axis;

    bool is_fixed() const { return axis.empty(); }
    bool operator==(const Dim& other) const { return size == other.size && axis == other.axis; }
};

struct Port {
    std::string name;
    std::string dtype;
    std::vector<Dim> shape;

    bool operator==(const Port& other) const {
        return name == other.name && dtype == other.dtype && shape == other.shape;
    }
    // The values of the named axes that give a shape; none where no values do.
    std::optional<Axes> axes(const Shape& of) const;
    // The shape for given values of the named axes.
    Shape resolve(const Axes& axes) const;
    // [batch, 3, 32*height, 32*width]
    std::string dims_text() const;
    std::string as_text() const;
};

struct AxisRange {
    std::int64_t min = 1;
    std::int64_t max = 1;
};

// A block of a mixed graph that is float32 as a whole; `max_abs` is none where every such graph has it in float32.
struct Fp32Block {
    std::string block;
    std::optional<double> max_abs;
};

struct Graph {
    std::string path;
    std::vector<std::string> data;
    std::string target;
    std::string precision;
    // Of a graph in fp16, and of no other.
    std::optional<std::vector<Fp32Block>> fp32_blocks;
    std::int64_t opset = 0;
    std::int64_t activation_bytes = 0;
    std::int64_t attention_bytes = 0;
    std::vector<Port> inputs;
    std::vector<Port> outputs;
    std::map<std::string, AxisRange> ranges;

    // The first named axis whose value is out of its range.
    std::optional<std::string> outside(const Axes& axes) const;
    // The axes of a run over `rows` latents, for a graph whose first input is the latent; none where it does not
    // take them. A graph of a fixed batch runs full.
    std::optional<Axes> latent_axes(std::int64_t rows, std::int64_t channels, std::int64_t height,
                                    std::int64_t width) const;
    // The batch of a graph that takes no other.
    std::optional<std::int64_t> fixed_rows() const;
};

struct Diffusion {
    std::string prediction;
    bool learned_variance = false;
    std::string schedule_kind;
    std::optional<double> beta_start;
    std::optional<double> beta_end;
    std::int64_t train_steps = 2;
    double shift = 1;
    std::pair<double, double> timesteps;
    std::int64_t grid_rows = 1;
    std::int64_t grid_columns = 1;
};

struct Conditioning {
    std::string kind;
    std::optional<std::int64_t> num_classes;
    std::optional<std::int64_t> null_label;
    std::optional<std::vector<std::string>> class_names;
};

struct NamedTable {
    std::string name;
    Table table;
    // The times as the file states them; `table` has them as float32.
    std::vector<double> times;
    std::optional<std::string> time_features;
};

struct Samplers {
    std::vector<NamedTable> tables;
    std::string default_name;
    double default_guidance = 1;

    const NamedTable* find(const std::string& name) const;
};

struct Network {
    std::string preset;
    std::string weights;
    std::string weights_sha256;
    std::optional<std::string> licence;
};

struct Golden {
    std::string graph;
    std::map<std::string, std::string> inputs;
    std::map<std::string, std::string> outputs;
};

struct ListedFile {
    std::string sha256;
    std::int64_t bytes = 0;
};

struct Manifest {
    // As the file has it.
    Json json;
    Network autoencoder;
    std::string model_id;
    std::optional<Network> transformer;
    bool uint8_images = false;
    std::int64_t channels = 1;
    std::int64_t downsample = 1;
    std::optional<double> scaling_factor;
    double shift = 0;
    std::optional<Diffusion> diffusion;
    std::optional<Conditioning> conditioning;
    std::vector<std::pair<std::string, Graph>> graphs;
    std::optional<Samplers> samplers;
    std::vector<Golden> golden;
    std::map<std::string, ListedFile> files;

    const Graph* graph(const std::string& name) const;
    // Whether the weights of either network were drawn: pictures are noise then.
    bool has_random_weights() const;
    // Rows and columns of the latent that the transformer makes where nothing else is asked for.
    std::pair<std::int64_t, std::int64_t> default_grid() const;
};

// The manifest that a text states, every rule of the format held; refuses a format version that it does not know
// before it looks at anything else.
Manifest parse_manifest(const std::string& text);

// Whether a text is a path as a manifest may have one.
bool is_plain_path(const std::string& path);

}  // namespace dcae::core
