// verify, parity and inspect: what a bundle is, and whether it holds.
#include <algorithm>

#include "commands.hpp"
#include "error.hpp"
#include "json.hpp"
#include "output.hpp"
#include "parity.hpp"
#include "pipeline.hpp"
#include "runtime_options.hpp"
#include "strings.hpp"
#include "version.hpp"

namespace dcae::program {
namespace {

using core::Cancellation;
using core::Json;
using core::Manifest;
using core::Measurement;
using core::Pipeline;
using core::Status;

std::string bound_text(const core::Tolerance& tolerance) {
    return "at most " + core::tolerance_text(tolerance) + " (" + tolerance.because + ")";
}

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json measurement_json(const Measurement& one) {
    Json content;
    content["graph"] = one.graph;
    content["runtime"] = one.runtime;
    content["passed"] = one.passed();
    content["relative_l2"] = finite(one.difference.relative_l2);
    content["max_abs"] = finite(one.difference.max_abs);
    content["reference_range"] = finite(one.difference.reference_range);
    content["psnr_db"] = number_or_null(one.difference.psnr_db);
    content["cosine"] = one.difference.cosine;
    content["worst"] = one.difference.worst;
    content["tolerance"]["relative_l2"] = one.tolerance.relative_l2;
    content["tolerance"]["max_abs"] = one.tolerance.max_abs;
    content["tolerance"]["psnr_db"] = number_or_null(one.tolerance.psnr_db);
    content["tolerance"]["cosine"] = number_or_null(one.tolerance.cosine);
    content["tolerance"]["because"] = one.tolerance.because;
    return content;
}

void print_measurements(const std::vector<Measurement>& measured) {
    std::vector<std::vector<std::string>> rows = {{"graph", measured.front().runtime}};
    // The graphs that each is for, in the order in which they come.
    std::vector<std::pair<std::string, std::vector<std::string>>> tolerances;
    for (const auto& one : measured) {
        rows.push_back({one.graph, core::formatted("%.1e  ", one.difference.relative_l2) +
                                       core::formatted("%.1e  ", one.difference.max_abs) + (one.passed() ? "ok" : "MISSED")});
        const auto line = bound_text(one.tolerance);
        auto found = std::find_if(tolerances.begin(), tolerances.end(), [&](const auto& held) { return held.first == line; });
        if (found == tolerances.end()) found = tolerances.insert(found, {line, {}});
        auto& names = found->second;
        if (std::find(names.begin(), names.end(), one.graph) == names.end()) names.push_back(one.graph);
    }
    print_table(rows);
    print_line("each: relative L2, max abs, verdict");
    for (const auto& [line, names] : tolerances) print_line(core::joined(names, ", ") + ": " + line);
}

std::string null_or(const std::optional<std::string>& value, const char* otherwise) { return value.value_or(otherwise); }

std::string text_at(const Json& json, const char* key) { return json.at(key).get<std::string>(); }

void print_model(const std::string& path, const Manifest& manifest) {
    const auto& model = manifest.autoencoder;
    const auto& producer = manifest.json.at("producer");
    std::int64_t total = 0;
    for (const auto& entry : manifest.files) total += entry.second.bytes;
    const bool drawn = model.weights.rfind("random:", 0) == 0;
    const auto weights = drawn ? "RANDOM WEIGHTS (" + model.weights + "): its pictures are noise"
                               : model.weights + ", sha256 " + model.weights_sha256.substr(0, 16);
    print_table({
        {"bundle", path},
        {"model", model.preset + ", id " + manifest.model_id.substr(0, 16)},
        {"weights", weights},
        {"licence", null_or(model.licence, "not stated by the weights' source")},
        {"image", manifest.uint8_images ? "uint8 NHWC, 0 to 255" : "float32 NCHW, -1 to 1"},
        {"latent", core::text(manifest.channels, " channels, 1/", manifest.downsample, " of each side")},
        {"scaling factor", manifest.scaling_factor ? Json(*manifest.scaling_factor).dump() : "not published"},
        {"shift", core::formatted("%g", manifest.shift)},
        {"made by", "dcae-export " + text_at(producer, "package") + ", torch " + text_at(producer, "torch") + ", onnx " +
                        text_at(producer, "onnx")},
        {"made at", text_at(producer, "time")},
        {"files", core::text(manifest.files.size(), ", ", size_text(total), "; format ", core::kFormatVersion)},
    });
    print_line("");
}

void print_generation(const Manifest& manifest) {
    if (!manifest.samplers) return;
    const auto& transformer = *manifest.transformer;
    const auto& diffusion = *manifest.diffusion;
    const auto& conditioning = *manifest.conditioning;
    std::vector<std::string> samplers;
    for (const auto& one : manifest.samplers->tables) samplers.push_back(one.name);
    const auto factor = manifest.downsample;
    print_table({
        {"transformer", transformer.preset},
        {"weights", transformer.weights + ", sha256 " + transformer.weights_sha256.substr(0, 16)},
        {"licence", null_or(transformer.licence, "not stated by the weights' source")},
        {"predicts", diffusion.prediction + ", " + diffusion.schedule_kind + " schedule"},
        {"trained at", core::text(factor * diffusion.grid_columns, "x", factor * diffusion.grid_rows)},
        {"labels", conditioning.num_classes
                       ? core::text(*conditioning.num_classes, " classes", conditioning.class_names ? ", named" : "")
                       : "none"},
        {"samplers", core::joined(samplers, ", ")},
        {"default", manifest.samplers->default_name + ", guidance " + core::formatted("%g", manifest.samplers->default_guidance)},
    });
    print_line("");
}

std::string ports_text(const std::vector<core::Port>& ports) {
    std::vector<std::string> texts;
    for (const auto& port : ports) texts.push_back(port.as_text());
    return core::joined(texts, ", ");
}

// As the simplification left them.
std::string nodes_of(const Manifest& manifest, const std::string& graph) {
    for (const auto& record : manifest.json.at("simplification")) {
        if (text_at(record, "graph") == graph) return std::to_string(record.at("nodes_after").get<std::int64_t>());
    }
    return "-";
}

std::string block_text(const core::Fp32Block& block) {
    return block.block + (block.max_abs ? " (reaches " + core::formatted("%.3g", *block.max_abs) + ")" : "");
}

void print_graphs(const Manifest& manifest) {
    std::vector<std::vector<std::string>> rows = {{"graph", "form", "nodes", "takes", "gives", "files"}};
    for (const auto& [name, graph] : manifest.graphs) {
        std::int64_t size = manifest.files.at(graph.path).bytes;
        for (const auto& path : graph.data) size += manifest.files.at(path).bytes;
        rows.push_back({name, core::text(graph.target, ", ", graph.precision, ", opset ", graph.opset), nodes_of(manifest, name),
                        ports_text(graph.inputs), ports_text(graph.outputs),
                        core::text(graph.path, ": ", size_text(size), " in ", 1 + graph.data.size(), " files")});
    }
    print_table(rows);
    for (const auto& [name, graph] : manifest.graphs) {
        if (!graph.fp32_blocks) continue;
        std::vector<std::string> texts;
        for (const auto& block : *graph.fp32_blocks) texts.push_back(block_text(block));
        print_line(name + " in float32: " + core::joined(texts, ", "));
    }
    print_line("");
}

void print_parity(const Manifest& manifest) {
    const auto& records = manifest.json.at("parity");
    if (records.empty()) {
        print_line("parity: nothing recorded");
        return;
    }
    std::vector<std::vector<std::string>> rows = {
        {"parity of", "input", "on", "against", "relative L2", "max abs", "verdict"}};
    for (const auto& record : records) {
        rows.push_back({text_at(record, "graph"), text_at(record, "input"), text_at(record, "runtime"),
                        text_at(record, "reference"), core::formatted("%.1e", record.at("relative_l2").get<double>()),
                        core::formatted("%.1e", record.at("max_abs").get<double>()), text_at(record, "verdict")});
    }
    print_table(rows);
    print_line("");
}

}  // namespace

void verify(const Arguments& arguments, Cancellation&) {
    const auto& path = arguments.positional(0);
    const bool as_json = arguments.flag("--json");
    Json content;
    content["bundle"] = path;
    try {
        const core::Bundle bundle(path, true);
        bundle.verify();
        Json files = Json::object();
        std::int64_t total = 0;
        for (const auto& [name, file] : bundle.manifest().files) {
            files[name] = file.bytes;
            total += file.bytes;
            if (!as_json) print_line("ok  " + name + "  " + size_text(file.bytes));
        }
        if (!as_json) {
            print_line(core::text(path, ": ", files.size(), " files, ", size_text(total), ", all as listed"));
            return;
        }
        content["ok"] = true;
        content["error"] = nullptr;
        content["files"] = files;
    } catch (const core::Error& error) {
        if (as_json) {
            content["ok"] = false;
            content["error"] = error.what();
            content["files"] = Json::object();
            print_json(content);
        }
        throw;
    }
    print_json(content);
}

void parity(const Arguments& arguments, Cancellation& cancellation) {
    Pipeline pipeline(arguments.positional(0), open_options(arguments));
    const auto measured = core::measure_parity(pipeline, cancellation);
    if (measured.empty()) {
        core::fail(Status::input, arguments.positional(0), ": holds no golden arrays; export the bundle again");
    }
    std::vector<Measurement> missed;
    std::copy_if(measured.begin(), measured.end(), std::back_inserter(missed),
                 [](const Measurement& one) { return !one.passed(); });
    if (arguments.flag("--json")) {
        Json content;
        content["bundle"] = arguments.positional(0);
        content["passed"] = missed.empty();
        content["measurements"] = Json::array();
        for (const auto& one : measured) content["measurements"].push_back(measurement_json(one));
        print_json(content);
    } else {
        print_measurements(measured);
    }
    if (missed.empty()) return;
    const auto worst = std::max_element(missed.begin(), missed.end(), [](const Measurement& a, const Measurement& b) {
        return a.difference.relative_l2 < b.difference.relative_l2;
    });
    core::fail(Status::parity, missed.size(), " of ", measured.size(), " missed; worst: ", worst->graph, " on ",
               worst->runtime, ", ", worst->difference.as_text(), "; ", bound_text(worst->tolerance));
}

void inspect(const Arguments& arguments, Cancellation&) {
    const auto& path = arguments.positional(0);
    Pipeline pipeline(path, open_options(arguments));
    const Manifest& manifest = pipeline.manifest();
    Json packages = {{"dcae-run", core::kVersion}};
    std::vector<std::string> providers;
    std::string library = "none";
    try {
        const auto& runtime = pipeline.runtime();
        packages["onnxruntime"] = runtime.version();
        library = runtime.path();
        providers = runtime.provider_names();
    } catch (const core::Error& error) {
        // A bundle can be looked at where nothing is there to run it.
        if (error.status() != Status::provider) throw;
    }
    if (arguments.flag("--json")) {
        Json content;
        content["bundle"] = path;
        content["random_weights"] = manifest.has_random_weights();
        content["manifest"] = manifest.json;
        content["packages"] = packages;
        content["providers"] = providers;
        content["onnxruntime"] = library;
        print_json(content);
        return;
    }
    print_model(path, manifest);
    print_generation(manifest);
    print_graphs(manifest);
    print_parity(manifest);
    std::vector<std::string> installed;
    for (const auto& [name, version] : packages.items()) installed.push_back(name + " " + version.get<std::string>());
    print_line("installed: " + core::joined(installed, ", "));
    print_line("providers: " + (providers.empty() ? "none: no ONNX Runtime is installed" : core::joined(providers, ", ")));
    print_line("ONNX Runtime's library: " + core::one_line(library));
}

}  // namespace dcae::program
