#include "commands.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "array.hpp"
#include "error.hpp"
#include "json.hpp"
#include "noise.hpp"
#include "npy.hpp"
#include "picture_file.hpp"
#include "pipeline.hpp"
#include "pixels.hpp"
#include "strings.hpp"
#include "whole_file.hpp"

namespace dcae::program {
namespace {

using core::Cancellation;
using core::Json;
using core::Pictures;
using core::Pipeline;
using core::Status;

constexpr std::int64_t kMaxInt = std::numeric_limits<std::int64_t>::max();

void print_line(const std::string& line) { std::printf("%s\n", line.c_str()); }

void print_json(const Json& content) { print_line(content.dump(2, ' ', true)); }

std::vector<Option> with_runtime(std::vector<Option> options) {
    options.insert(options.end(), {{"--provider", "NAME", "Where to run: cpu, cuda or tensorrt.  [default: cpu]"},
                                   {"--threads", "N", "Threads of an operator.  [default: one per physical core]"},
                                   {"--onnxruntime", "PATH", "ONNX Runtime's library.  [default: DCAE_ONNXRUNTIME, then the usual places]"},
                                   {"--verify", nullptr, "Check the hashes of the bundle's files.  [default]"},
                                   {"--no-verify", nullptr, "Skip the hashes, with a note."}});
    return options;
}

core::OpenOptions open_options(const Arguments& arguments) {
    core::OpenOptions options;
    options.onnxruntime = arguments.value_or("--onnxruntime", "");
    options.provider = core::provider_named(arguments.value_or("--provider", "cpu"));
    options.threads = static_cast<int>(arguments.integer("--threads", 1, 4096).value_or(0));
    options.verify_hashes = !arguments.flag("--no-verify");
    if (!options.verify_hashes) print_note("--no-verify: the hashes of the bundle's files are not checked");
    return options;
}

core::Size parse_size(const Arguments& arguments, const std::string& given) {
    const auto cross = given.find('x');
    const auto number = [&](const std::string& digits) -> std::int64_t {
        if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos) {
            arguments.refuse("Invalid value for '--size': " + given + ": a size is 512, or WIDTHxHEIGHT");
        }
        return std::stoll(digits);
    };
    if (cross == std::string::npos) return {number(given), number(given)};
    return {number(given.substr(cross + 1)), number(given.substr(0, cross))};
}

std::int64_t parse_bytes(const Arguments& arguments, const std::string& given) {
    const auto at = given.find_first_not_of("0123456789.");
    const auto digits = given.substr(0, at);
    const auto unit = core::folded(at == std::string::npos ? "" : given.substr(at));
    const std::pair<const char*, double> units[] = {{"kb", 1e3},       {"mb", 1e6},          {"gb", 1e9},
                                                    {"kib", 1024.0},   {"mib", 1048576.0},   {"gib", 1073741824.0}};
    for (const auto& [name, factor] : units) {
        char* end = nullptr;
        const double number = std::strtod(digits.c_str(), &end);
        if (unit == name && !digits.empty() && digits[0] != '.' && *end == '\0' && number * factor < 9e18) {
            return static_cast<std::int64_t>(number * factor);
        }
    }
    arguments.refuse("Invalid value for '--memory-limit': " + given + ": a size as in 8GB or 512MiB");
}

std::string file_stem(const core::Label& label) {
    std::string stem;
    for (const char c : label.value_or("picture")) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (stem.size() < 60) stem += letter ? c : '-';
    }
    return stem;
}

// The files to write, looked at before the work: one, or with --each one for each picture.
std::vector<std::string> generate_targets(const Arguments& arguments, const core::Request& request) {
    const bool force = arguments.flag("--force");
    std::vector<std::string> names;
    for (std::size_t i = 0; i < request.labels.size(); ++i) {
        names.push_back(file_stem(request.labels[i]) + "-" + std::to_string(request.seed + i) + ".png");
    }
    const auto out = arguments.value("--out");
    if (!arguments.flag("--each")) {
        const auto target = out.value_or(names.front());
        core::check_picture_target(target, force);
        return {target};
    }
    for (auto& name : names) {
        if (out) name = *out + "/" + name;
        core::require_free(name, force);
    }
    return names;
}

void generate(const Arguments& arguments, Cancellation& cancellation) {
    core::Request request;
    const auto count = arguments.integer("--count", 1, 1000000).value_or(1);
    const auto labels = arguments.values("--label");
    for (const auto& label : labels) request.labels.insert(request.labels.end(), static_cast<std::size_t>(count), label);
    if (labels.empty()) request.labels.assign(static_cast<std::size_t>(count), std::nullopt);
    request.seed = arguments.seed("--seed");
    request.sampler = arguments.value("--sampler");
    request.guidance = arguments.number("--guidance", 0, std::numeric_limits<double>::max());
    if (const auto size = arguments.value("--size")) request.size = parse_size(arguments, *size);
    const auto targets = generate_targets(arguments, request);

    auto options = open_options(arguments);
    if (const auto limit = arguments.value("--memory-limit")) options.memory_limit = parse_bytes(arguments, *limit);
    Pipeline pipeline(arguments.positional(0), options);
    const Pictures pictures = pipeline.generate(request, cancellation);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        core::make_folder_of(targets[i]);
        const bool each = targets.size() == pictures.rows();
        core::write_picture(targets[i], each ? core::one_of(pictures, i) : core::tiled(pictures), arguments.flag("--force"));
    }
    const auto& manifest = pipeline.manifest();
    if (manifest.has_random_weights()) print_note("random weights: the picture is noise");
    if (!arguments.flag("--json")) {
        for (const auto& target : targets) print_line(target);
        return;
    }
    Json content;
    content["out"] = targets;
    content["labels"] = Json::array();
    content["seeds"] = Json::array();
    for (std::size_t i = 0; i < request.labels.size(); ++i) {
        content["labels"].push_back(request.labels[i] ? Json(*request.labels[i]) : Json(nullptr));
        content["seeds"].push_back(request.seed + i);
    }
    content["sampler"] = request.sampler.value_or(manifest.samplers->default_name);
    content["guidance"] = request.guidance.value_or(manifest.samplers->default_guidance);
    content["random_weights"] = manifest.has_random_weights();
    print_json(content);
}

void noise(const Arguments& arguments, Cancellation&) {
    const auto out = arguments.required("--out");
    const auto count = arguments.integer("--count", 0, 1 << 28);
    if (!count) arguments.refuse("Missing option '--count'");
    core::check_target(out, arguments.flag("--force"));
    core::Floats numbers(core::Shape{*count});
    core::normals(arguments.seed("--seed"), arguments.seed("--stream"), numbers.data.size(), numbers.data.data());
    core::write_whole(out, core::array_file(numbers.data.data(), numbers.shape), arguments.flag("--force"));
    print_line(out);
}

std::string size_text(std::int64_t bytes) {
    const std::pair<std::int64_t, const char*> units[] = {{1000000000, "GB"}, {1000000, "MB"}, {1000, "kB"}};
    for (const auto& [unit, name] : units) {
        if (bytes >= unit) {
            char buffer[40];
            std::snprintf(buffer, sizeof buffer, "%.1f %s", static_cast<double>(bytes) / static_cast<double>(unit), name);
            return buffer;
        }
    }
    return std::to_string(bytes) + " bytes";
}

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

}  // namespace

void print_note(const std::string& message) { std::fprintf(stderr, "dcae: %s\n", core::one_line(message).c_str()); }

const std::vector<Command>& commands() {
    static const Option json = {"--json", nullptr, "Print one JSON object instead of text."};
    static const Option force = {"--force", nullptr, "Replace existing files."};
    static const std::vector<Command> all = {
        {"generate", "Generate pictures: one seed, one picture, whatever the batch.", {"BUNDLE"},
         with_runtime({{"--label", "TEXT", "A class by number or name; once for each picture.  [default: none: unconditional]", true},
                       {"--count", "N", "Pictures of each label.  [default: 1]"},
                       {"--seed", "N", "Picture i draws from SEED + i.  [default: 0]"},
                       {"--sampler", "NAME:N", "A sampler of the bundle.  [default: its own]"},
                       {"--guidance", "WEIGHT", "Guidance weight; 1 runs without.  [default: the bundle's]"},
                       {"--size", "512|WIDTHxHEIGHT", "[default: the bundle's]"},
                       {"--out", "PATH", "A picture; with --each, a folder.  [default: ./ and the first label and seed]"},
                       {"--each", nullptr, "One file for each picture, not one sheet of all."},
                       {"--memory-limit", "8GB", "Memory that may be taken.  [default: what the machine has left]"},
                       force, json}),
         generate},
        {"verify", "Check a bundle's structure and hashes, without running it.", {"BUNDLE"}, {json}, verify},
        {"noise", "Write the numbers of a stream of noise, as .npy float32.", {},
         {{"--seed", "N", "[default: 0]"}, {"--stream", "N", "[default: 0]"}, {"--count", "N", "How many numbers."},
          {"--out", "PATH", "A .npy file."}, force},
         noise},
    };
    return all;
}

}  // namespace dcae::program
