#include "manifest_reader.hpp"

#include <cmath>
#include <functional>
#include <limits>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr double kFloat32Max = 3.4028234663852886e38;
constexpr std::int64_t kMaxSize = 2147483647;
constexpr std::int64_t kMaxInt = std::numeric_limits<std::int64_t>::max();
// Problems are counted for the message, up to here.
constexpr std::size_t kMaxProblems = 1000;

class Reader;
using Read = std::function<void(const Json&, const Reader&)>;

struct Problems {
    std::string first;
    std::string first_path;
    std::size_t count = 0;
};

// A value's place in the manifest, and where problems of it go.
class Reader {
public:
    Reader(std::string place, Problems& problems) : place_(std::move(place)), problems_(&problems) {}

    Reader at(const std::string& key) const { return {place_.empty() ? key : place_ + "." + key, *problems_}; }

    void problem(const std::string& what) const {
        if (problems_->count++ == 0) problems_->first = where() + ": " + what;
    }

    void path_problem() const {
        if (problems_->first_path.empty()) problems_->first_path = where();
        problem("is no plain relative path inside the bundle");
    }

private:
    std::string where() const {
        auto points = place_.substr(0, 200);
        if (points.empty()) return "content";
        return is_printable(points) ? points : in_quotes(points, 200);
    }

    std::string place_;
    Problems* problems_;
};

// One object of the manifest: every key that is asked for must be there, and no other.
class Object {
public:
    Object(const Json& json, const Reader& reader) : json_(json), reader_(reader) {
        if (!json.is_object()) reader.problem("Input should be an object");
    }

    ~Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;

    void key(const std::string& name, const Read& read) {
        known_.push_back(name);
        if (!json_.is_object()) return;
        const auto found = json_.find(name);
        if (found == json_.end()) {
            reader_.at(name).problem("Field required");
        } else {
            read(*found, reader_.at(name));
        }
    }

    // A key that may be absent; where it is there, it may not be null.
    void optional_key(const std::string& name, const Read& read) {
        known_.push_back(name);
        if (json_.is_object() && json_.contains(name)) read(json_.at(name), reader_.at(name));
    }

    void end() const {
        if (!json_.is_object()) return;
        for (const auto& [name, value] : json_.items()) {
            bool known = false;
            for (const auto& one : known_) known = known || one == name;
            if (!known) reader_.at(name).problem("unknown key");
        }
    }

private:
    const Json& json_;
    Reader reader_;
    std::vector<std::string> known_;
};

Read string_to(std::string& out) {
    return [&out](const Json& json, const Reader& reader) {
        if (json.is_string()) {
            out = json.get<std::string>();
        } else {
            reader.problem("Input should be a valid string");
        }
    };
}

template <typename Value>
Read nullable(std::optional<Value>& out, std::function<Read(Value&)> to) {
    return [&out, to = std::move(to)](const Json& json, const Reader& reader) {
        out.reset();
        if (!json.is_null()) to(out.emplace())(json, reader);
    };
}

Read one_of(std::string& out, std::vector<std::string> allowed) {
    return [&out, allowed = std::move(allowed)](const Json& json, const Reader& reader) {
        for (const auto& one : allowed) {
            if (json.is_string() && json.get_ref<const std::string&>() == one) {
                out = one;
                return;
            }
        }
        std::vector<std::string> texts;
        for (const auto& one : allowed) texts.push_back(core::in_quotes(one));
        reader.problem("Input should be " + joined(texts, " or "));
    };
}

Read boolean_to(bool& out) {
    return [&out](const Json& json, const Reader& reader) {
        if (json.is_boolean()) {
            out = json.get<bool>();
        } else {
            reader.problem("Input should be a valid boolean");
        }
    };
}

Read integer_to(std::int64_t& out, std::int64_t least, std::int64_t most) {
    return [&out, least, most](const Json& json, const Reader& reader) {
        if (!json.is_number_integer()) {
            reader.problem("Input should be a valid integer");
        // An unsigned number is compared as such: as a signed one the largest are negative.
        } else if (json.is_number_unsigned() && json.get<std::uint64_t>() > static_cast<std::uint64_t>(most)) {
            reader.problem(text("Input should be less than or equal to ", most));
        } else if (json.get<std::int64_t>() < least) {
            reader.problem(text("Input should be greater than or equal to ", least));
        } else {
            out = json.get<std::int64_t>();
        }
    };
}

Read size_to(std::int64_t& out) { return integer_to(out, 1, kMaxSize); }
Read bytes_to(std::int64_t& out) { return integer_to(out, 0, kMaxInt); }

// Any number that a double holds; the parser knows no others.
Read double_to(double& out, double least = -std::numeric_limits<double>::max(),
               double most = std::numeric_limits<double>::max()) {
    return [&out, least, most](const Json& json, const Reader& reader) {
        if (!json.is_number()) {
            reader.problem("Input should be a valid number");
            return;
        }
        const auto value = json.get<double>();
        if (!(value >= least)) {
            reader.problem(text("Input should be greater than or equal to ", least));
        } else if (!(value <= most)) {
            reader.problem(text("Input should be less than or equal to ", most));
        } else {
            out = value;
        }
    };
}

Read number_to(double& out) { return double_to(out, -kFloat32Max, kFloat32Max); }

Read float_to(float& out, double least = -kFloat32Max) {
    return [&out, least](const Json& json, const Reader& reader) {
        double value = 0;
        double_to(value, least, kFloat32Max)(json, reader);
        out = static_cast<float>(value);
    };
}

template <typename Value>
Read list_to(std::vector<Value>& out, std::function<Read(Value&)> to, std::size_t least = 0,
             std::size_t most = std::numeric_limits<std::size_t>::max()) {
    return [&out, to = std::move(to), least, most](const Json& json, const Reader& reader) {
        if (!json.is_array()) {
            reader.problem("Input should be a valid array");
            return;
        }
        if (json.size() < least) reader.problem(text("List should have at least ", least, " item"));
        if (json.size() > most) {
            reader.problem(text("List should have at most ", most, " items"));
            return;
        }
        for (std::size_t i = 0; i < json.size(); ++i) {
            out.emplace_back();
            to(out.back())(json[i], reader.at(std::to_string(i)));
        }
    };
}

Read pair_to(double& first, double& second) {
    return [&first, &second](const Json& json, const Reader& reader) {
        if (!json.is_array() || json.size() != 2) {
            reader.problem("Input should be a list of two numbers");
            return;
        }
        double_to(first)(json[0], reader.at("0"));
        double_to(second)(json[1], reader.at("1"));
    };
}

Read float_pair_to(std::array<float, 2>& out) {
    return [&out](const Json& json, const Reader& reader) {
        if (!json.is_array() || json.size() != 2) {
            reader.problem("Input should be a list of two numbers");
            return;
        }
        float_to(out[0])(json[0], reader.at("0"));
        float_to(out[1])(json[1], reader.at("1"));
    };
}

Read coefficients_to(std::vector<float>& out) {
    return list_to<float>(out, [](float& one) { return float_to(one); }, 1, 17);
}

Read sha256_to(std::string& out) {
    return [&out](const Json& json, const Reader& reader) {
        string_to(out)(json, reader);
        if (!json.is_string()) return;
        if (out.size() != 64 || out.find_first_not_of("0123456789abcdef") != std::string::npos) {
            reader.problem("String should be 64 lower-case hexadecimal digits");
        }
    };
}

Read path_to(std::string& out) {
    return [&out](const Json& json, const Reader& reader) {
        string_to(out)(json, reader);
        if (!json.is_string()) return;
        if (!is_plain_path(out)) {
            reader.path_problem();
        } else if (out.size() > 255) {
            reader.problem("String should have at most 255 characters");
        }
    };
}

// The entries of an object whose keys are no fixed set.
Read entries(std::function<void(const std::string&, const Json&, const Reader&)> read) {
    return [read = std::move(read)](const Json& json, const Reader& reader) {
        if (!json.is_object()) {
            reader.problem("Input should be an object");
            return;
        }
        for (const auto& [name, value] : json.items()) read(name, value, reader.at(name));
    };
}

Read dim_to(Dim& out) {
    return [&out](const Json& json, const Reader& reader) {
        if (json.is_number_integer()) {
            size_to(out.size)(json, reader);
            return;
        }
        if (!json.is_string()) {
            reader.problem("Input should be a valid integer or string");
            return;
        }
        const auto& dim = json.get_ref<const std::string&>();
        const auto star = dim.find('*');
        const auto factor = star == std::string::npos ? std::string("1") : dim.substr(0, star);
        const auto axis = star == std::string::npos ? dim : dim.substr(star + 1);
        const bool whole = !factor.empty() && factor.size() <= 9 && factor[0] != '0' &&
                           factor.find_first_not_of("0123456789") == std::string::npos;
        if (!whole || !(axis == "batch" || axis == "height" || axis == "width")) {
            reader.problem("String should be batch, height or width, or a factor of one");
            return;
        }
        out.size = std::stoll(factor);
        out.axis = axis;
    };
}

Read port_to(Port& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        object.key("name", string_to(out.name));
        object.key("dtype", one_of(out.dtype, {"float32", "uint8", "int64"}));
        object.key("shape", list_to<Dim>(out.shape, dim_to));
        object.end();
    };
}

Read range_to(AxisRange& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        object.key("min", size_to(out.min));
        object.key("max", size_to(out.max));
        object.end();
    };
}

// As PyTorch names parts of a network: letters, digits and underscores between dots.
Read block_name_to(std::string& out) {
    return [&out](const Json& json, const Reader& reader) {
        string_to(out)(json, reader);
        if (!json.is_string()) return;
        bool plain = !out.empty() && out.front() != '.' && out.back() != '.' && out.find("..") == std::string::npos;
        for (const char one : out) {
            const bool letter = (one >= 'a' && one <= 'z') || (one >= 'A' && one <= 'Z');
            plain = plain && (letter || (one >= '0' && one <= '9') || one == '_' || one == '.');
        }
        if (!plain) {
            reader.problem("String should be letters, digits and underscores between dots");
        } else if (out.size() > 255) {
            reader.problem("String should have at most 255 characters");
        }
    };
}

Read fp32_block_to(Fp32Block& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        object.key("block", block_name_to(out.block));
        const auto magnitude = [](double& one) { return double_to(one, 0, kFloat32Max); };
        object.key("max_abs", nullable<double>(out.max_abs, magnitude));
        object.end();
    };
}

Read graph_to(Graph& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        object.key("path", path_to(out.path));
        object.key("data", list_to<std::string>(out.data, path_to));
        object.key("target", one_of(out.target, {"generic", "cpu", "cuda", "tensorrt", "web"}));
        object.key("precision", one_of(out.precision, {"fp32", "fp16"}));
        object.optional_key("fp32_blocks", [&out](const Json& value, const Reader& at) {
            list_to<Fp32Block>(out.fp32_blocks.emplace(), fp32_block_to)(value, at);
        });
        object.key("opset", integer_to(out.opset, 18, 23));
        object.key("activation_bytes", bytes_to(out.activation_bytes));
        object.key("attention_bytes", bytes_to(out.attention_bytes));
        object.key("inputs", list_to<Port>(out.inputs, port_to));
        object.key("outputs", list_to<Port>(out.outputs, port_to));
        object.key("ranges", entries([&out](const std::string& name, const Json& value, const Reader& at) {
                       if (name != "batch" && name != "height" && name != "width") {
                           at.problem("Input should be 'batch', 'height' or 'width'");
                           return;
                       }
                       range_to(out.ranges[name])(value, at);
                   }));
        object.end();
    };
}

Read diffusion_to(Diffusion& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        object.key("prediction", one_of(out.prediction, {"epsilon", "velocity", "x0"}));
        object.key("learned_variance", boolean_to(out.learned_variance));
        object.key("schedule", [&out](const Json& inner, const Reader& at) {
            const auto number = [](double& one) { return double_to(one); };
            Object schedule(inner, at);
            schedule.key("kind", one_of(out.schedule_kind, {"linear", "scaled_linear", "flow"}));
            schedule.key("beta_start", nullable<double>(out.beta_start, number));
            schedule.key("beta_end", nullable<double>(out.beta_end, number));
            schedule.key("train_steps", integer_to(out.train_steps, 2, 100000));
            schedule.key("shift", double_to(out.shift));
            schedule.end();
        });
        object.key("timesteps", pair_to(out.timesteps.first, out.timesteps.second));
        object.key("grid", [&out](const Json& inner, const Reader& at) {
            if (!inner.is_array() || inner.size() != 2) {
                at.problem("Input should be a list of two integers");
                return;
            }
            size_to(out.grid_rows)(inner[0], at.at("0"));
            size_to(out.grid_columns)(inner[1], at.at("1"));
        });
        object.end();
    };
}

Read class_name_to(std::string& out) {
    return [&out](const Json& json, const Reader& reader) {
        string_to(out)(json, reader);
        if (!json.is_string()) return;
        const auto length = code_points(out).size();
        if (length < 1 || length > 200) {
            reader.problem(text("has ", length, " characters, and 1 to 200 are possible"));
        } else if (!is_printable(out)) {
            reader.problem("holds characters that cannot be printed");
        }
    };
}

Read conditioning_to(Conditioning& out) {
    return [&out](const Json& json, const Reader& reader) {
        const auto names = [](std::vector<std::string>& list) { return list_to<std::string>(list, class_name_to); };
        Object object(json, reader);
        object.key("kind", one_of(out.kind, {"none", "class"}));
        object.key("num_classes", nullable<std::int64_t>(out.num_classes, size_to));
        object.key("null_label", nullable<std::int64_t>(out.null_label, size_to));
        object.key("class_names", nullable<std::vector<std::string>>(out.class_names, names));
        object.end();
    };
}

Read row_to(Row& out, double& time) {
    return [&out, &time](const Json& json, const Reader& reader) {
        Object object(json, reader);
        object.key("t", number_to(time));
        out.t = static_cast<float>(time);
        object.key("m", float_pair_to(out.m));
        object.key("x", coefficients_to(out.x));
        object.optional_key("base", [&out](const Json& value, const Reader& at) {
            if (value.is_null()) return;
            out.base_is_x = value == "x";
            if (out.base_is_x) return;
            if (!value.is_array()) {
                at.problem("Input should be 'x' or a list of numbers");
                return;
            }
            coefficients_to(out.base.emplace())(value, at);
        });
        object.optional_key("s", nullable<float>(out.s, [](float& s) { return float_to(s, 0); }));
        object.optional_key("v", nullable<std::array<float, 2>>(out.v, float_pair_to));
        object.optional_key("start", nullable<std::array<float, 2>>(out.start, float_pair_to));
        object.end();
    };
}

bool is_sampler_name(const std::string& name) {
    const auto colon = name.find(':');
    if (colon == std::string::npos || colon < 1 || colon > 40) return false;
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != colon) return false;
    const auto count = name.substr(colon + 1);
    return !count.empty() && count.size() <= 4 && count[0] != '0' &&
           count.find_first_not_of("0123456789") == std::string::npos;
}

Read table_to(NamedTable& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        object.key("init", float_to(out.table.init));
        object.key("rows", [&out](const Json& rows, const Reader& at) {
            if (!rows.is_array() || rows.empty() || rows.size() > 1000) {
                at.problem("Input should be a list of 1 to 1000 rows");
                return;
            }
            out.times.resize(rows.size());
            out.table.rows.resize(rows.size());
            for (std::size_t i = 0; i < rows.size(); ++i) {
                row_to(out.table.rows[i], out.times[i])(rows[i], at.at(std::to_string(i)));
            }
        });
        object.key("time_features", nullable<std::string>(out.time_features, path_to));
        object.end();
    };
}

Read samplers_to(Samplers& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        object.key("tables", [&out](const Json& tables, const Reader& at) {
            if (tables.is_object() && (tables.empty() || tables.size() > 64)) {
                at.problem("Input should have 1 to 64 items");
                return;
            }
            entries([&out](const std::string& name, const Json& table, const Reader& inner) {
                if (!is_sampler_name(name)) inner.problem("String should be a sampler's name as in dpmpp-2m:20");
                out.tables.emplace_back();
                out.tables.back().name = name;
                table_to(out.tables.back())(table, inner);
            })(tables, at);
        });
        object.key("default", string_to(out.default_name));
        object.key("default_guidance", double_to(out.default_guidance, 1, kFloat32Max));
        object.end();
    };
}

void network_keys(Object& object, Network& out) {
    object.key("preset", string_to(out.preset));
    object.key("weights", string_to(out.weights));
    object.key("weights_sha256", sha256_to(out.weights_sha256));
    object.key("licence", nullable<std::string>(out.licence, string_to));
}

Read transformer_to(Network& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        network_keys(object, out);
        object.end();
    };
}

Read model_to(Manifest& out) {
    return [&out](const Json& json, const Reader& reader) {
        Object object(json, reader);
        network_keys(object, out.autoencoder);
        object.key("id", sha256_to(out.model_id));
        object.key("transformer", nullable<Network>(out.transformer, transformer_to));
        object.end();
    };
}

Read producer() {
    return [](const Json& json, const Reader& reader) {
        std::string ignored;
        Object object(json, reader);
        for (const auto* key : {"package", "torch", "onnx", "time"}) object.key(key, string_to(ignored));
        object.end();
    };
}

Read image_to(Manifest& out) {
    return [&out](const Json& json, const Reader& reader) {
        std::int64_t channels = 0;
        std::string dtype;
        std::string layout;
        double low = 0;
        double high = 0;
        Object object(json, reader);
        object.key("channels", integer_to(channels, 3, 3));
        object.key("dtype", one_of(dtype, {"float32", "uint8"}));
        object.key("layout", one_of(layout, {"NCHW", "NHWC"}));
        object.key("range", pair_to(low, high));
        object.end();
        out.uint8_images = dtype == "uint8";
        const bool floats = dtype == "float32" && layout == "NCHW" && low == -1 && high == 1;
        const bool levels = dtype == "uint8" && layout == "NHWC" && low == 0 && high == 255;
        if (!floats && !levels) {
            reader.problem("Value error, float32 is NCHW in [-1, 1], uint8 is NHWC in [0, 255]");
        }
    };
}

Read latent_to(Manifest& out) {
    return [&out](const Json& json, const Reader& reader) {
        constexpr auto least = std::numeric_limits<double>::denorm_min();
        const auto factor = [](double& one) { return double_to(one, least, kFloat32Max); };
        Object object(json, reader);
        object.key("channels", size_to(out.channels));
        object.key("downsample", size_to(out.downsample));
        object.key("scaling_factor", nullable<double>(out.scaling_factor, factor));
        object.key("shift", number_to(out.shift));
        object.end();
    };
}

Read graph_name_to(std::string& out) { return one_of(out, {"encoder", "decoder", "transformer"}); }

Read golden_to(Golden& out) {
    return [&out](const Json& json, const Reader& reader) {
        const auto paths_to = [](std::map<std::string, std::string>& paths) {
            return entries([&paths](const std::string& name, const Json& value, const Reader& at) {
                path_to(paths[name])(value, at);
            });
        };
        Object object(json, reader);
        object.key("graph", graph_name_to(out.graph));
        object.key("inputs", paths_to(out.inputs));
        object.key("outputs", paths_to(out.outputs));
        object.end();
    };
}

// Records that say what was done and measured: their form is checked, nothing here uses their values.
void simplification(const Json& json, const Reader& reader) {
    std::string ignored;
    std::int64_t count = 0;
    const auto any = integer_to(count, std::numeric_limits<std::int64_t>::min(), kMaxInt);
    Object object(json, reader);
    object.key("graph", graph_name_to(ignored));
    object.key("simplifier", one_of(ignored, {"onnxsim", "onnxslim", "none"}));
    object.key("outcome", string_to(ignored));
    object.key("nodes_before", any);
    object.key("nodes_after", any);
    object.end();
}

void tolerance(const Json& json, const Reader& reader) {
    std::string ignored;
    double number = 0;
    Object object(json, reader);
    object.key("relative_l2", double_to(number));
    object.key("max_abs", double_to(number));
    object.key("because", string_to(ignored));
    for (const auto* key : {"psnr_db", "cosine"}) object.optional_key(key, double_to(number));
    object.end();
}

void parity_record(const Json& json, const Reader& reader) {
    std::string ignored;
    double number = 0;
    std::optional<double> decibels;
    Object object(json, reader);
    object.key("graph", graph_name_to(ignored));
    for (const auto* key : {"input", "reference", "runtime"}) object.key(key, string_to(ignored));
    object.key("max_abs", double_to(number));
    object.key("relative_l2", double_to(number));
    object.key("psnr_db", nullable<double>(decibels, [](double& one) { return double_to(one); }));
    object.optional_key("cosine", double_to(number));
    object.key("tolerance", tolerance);
    object.key("verdict", one_of(ignored, {"passed"}));
    object.end();
}

Read list_of(const Read& read) {
    return [read](const Json& json, const Reader& reader) {
        if (!json.is_array()) {
            reader.problem("Input should be a valid array");
            return;
        }
        for (std::size_t i = 0; i < json.size(); ++i) read(json[i], reader.at(std::to_string(i)));
    };
}

Read files_to(std::map<std::string, ListedFile>& out) {
    return entries([&out](const std::string& name, const Json& json, const Reader& reader) {
        std::string path;
        path_to(path)(Json(name), reader);
        ListedFile& file = out[name];
        Object object(json, reader);
        object.key("sha256", sha256_to(file.sha256));
        object.key("bytes", bytes_to(file.bytes));
        object.end();
    });
}

}  // namespace

Manifest read_manifest_content(const Json& json) {
    Manifest manifest;
    Problems problems;
    const Reader reader("", problems);
    std::int64_t version = 0;
    std::optional<std::string> noise;
    Object object(json, reader);
    object.key("format_version", integer_to(version, kFormatVersion, kFormatVersion));
    object.key("producer", producer());
    object.key("model", model_to(manifest));
    object.key("image", image_to(manifest));
    object.key("latent", latent_to(manifest));
    object.key("diffusion", nullable<Diffusion>(manifest.diffusion, diffusion_to));
    object.key("conditioning", nullable<Conditioning>(manifest.conditioning, conditioning_to));
    object.key("graphs", entries([&manifest](const std::string& name, const Json& value, const Reader& at) {
                   if (name != "encoder" && name != "decoder" && name != "transformer") {
                       at.problem("Input should be 'encoder', 'decoder' or 'transformer'");
                       return;
                   }
                   manifest.graphs.emplace_back(name, Graph{});
                   graph_to(manifest.graphs.back().second)(value, at);
               }));
    object.key("samplers", nullable<Samplers>(manifest.samplers, samplers_to));
    const auto algorithm = [](std::string& one) { return one_of(one, {"philox4x32-10-v1"}); };
    object.key("noise", nullable<std::string>(noise, algorithm));
    object.key("golden", list_to<Golden>(manifest.golden, golden_to));
    object.key("simplification", list_of(simplification));
    object.key("parity", list_of(parity_record));
    object.key("files", files_to(manifest.files));
    object.end();
    const bool generates = manifest.graph("transformer") != nullptr;
    if (problems.count == 0 && noise.has_value() != generates) {
        reader.problem(
            "Value error, diffusion, conditioning, samplers, noise and model.transformer go with a transformer");
    }
    if (!problems.first_path.empty()) {
        fail(Status::refused, kManifestName, ": ", problems.first_path, " is no plain relative path inside the bundle");
    }
    if (problems.count > kMaxProblems) fail(Status::input, kManifestName, ": ", problems.count, " errors");
    if (problems.count > 1) {
        fail(Status::input, kManifestName, ": ", problems.first, " (and ", problems.count - 1, " more)");
    }
    if (problems.count == 1) fail(Status::input, kManifestName, ": ", problems.first);
    return manifest;
}

}  // namespace dcae::core
