// generate, and sample, which stops before the decoder.
#include <filesystem>

#include "commands.hpp"
#include "error.hpp"
#include "files.hpp"
#include "fit.hpp"
#include "json.hpp"
#include "latent_file.hpp"
#include "output.hpp"
#include "picture_file.hpp"
#include "pipeline.hpp"
#include "pixels.hpp"
#include "progress.hpp"
#include "runtime_options.hpp"
#include "strings.hpp"
#include "whole_file.hpp"

namespace dcae::program {
namespace {

using core::Cancellation;
using core::Json;
using core::Pictures;
using core::Pipeline;
using core::Status;

core::Size parse_size(const Arguments& arguments, const std::string& given) {
    const auto cross = given.find('x');
    const auto number = [&](const std::string& digits) -> std::int64_t {
        const bool whole = digits.find_first_not_of("0123456789") == std::string::npos;
        if (digits.empty() || digits.size() > 6 || digits[0] == '0' || !whole) {
            arguments.refuse_value(
                "--size", given + ": a size is 512 for a square, or WIDTHxHEIGHT as in 2048x1024");
        }
        return std::stoll(digits);
    };
    if (cross == std::string::npos) return {number(given), number(given)};
    return {number(given.substr(cross + 1)), number(given.substr(0, cross))};
}

// A number as Python writes it, which is the shortest that is read back as itself.
std::string float_text(double number) { return Json(number).dump(); }

std::optional<double> parse_guidance(const Arguments& arguments) {
    const auto weight = arguments.number("--guidance");
    // One that is none is known to the bundle.
    if (weight && *weight < 0) arguments.refuse_value("--guidance", float_text(*weight) + " is not in the range x>=0");
    return weight;
}

std::optional<double> parse_strength(const Arguments& arguments) {
    const auto share = arguments.number("--strength");
    if (share && (*share <= 0 || *share > 1)) {
        arguments.refuse_value("--strength", float_text(*share) + " is not in the range 0<x<=1");
    }
    return share;
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
    if (out && std::filesystem::exists(*out) && !core::is_folder(*out)) {
        core::fail(Status::usage, *out, ": is no folder; --each writes its pictures to one");
    }
    for (auto& name : names) {
        if (out) name = *out + "/" + name;
        core::require_free(name, force);
    }
    return names;
}

core::Request request_of(const Arguments& arguments) {
    core::Request request;
    const auto count = arguments.integer("--count", 1, 1000000).value_or(1);
    const auto labels = arguments.values("--label");
    const auto of_each = static_cast<std::size_t>(count);
    for (const auto& label : labels) request.labels.insert(request.labels.end(), of_each, label);
    if (labels.empty()) request.labels.assign(of_each, std::nullopt);
    request.seed = arguments.seed("--seed");
    request.sampler = arguments.value("--sampler");
    request.guidance = parse_guidance(arguments);
    if (const auto size = arguments.value("--size")) request.size = parse_size(arguments, *size);
    const auto strength = parse_strength(arguments);
    const bool varies = arguments.value("--from").has_value();
    if (strength && !varies) core::fail(Status::usage, "--strength goes with --from");
    if (varies) request.strength = strength.value_or(0.6);
    return request;
}

// Do the work of a request, and show how many evaluations are done.
template <typename Work>
auto with_progress(const Pipeline& pipeline, core::Request request, const Work& work) {
    Progress progress("generating", pipeline.evaluations(request));
    request.on_step = [&progress](std::size_t done, std::size_t count) {
        progress.advance();
        if (done == count) progress.stage("decoding");
        return true;
    };
    request.on_picture = [&progress](std::size_t done, std::size_t count) {
        if (count > 1) progress.stage(core::text("decoding: ", done, " of ", count));
        return true;
    };
    return work(request);
}

// What the request begins with, read once the bundle is known to make such a picture.
void read_begin(const Arguments& arguments, const Pipeline& pipeline, core::Request& request) {
    if (const auto latents = arguments.value("--latents")) request.latents = core::read_noise(*latents);
    const auto picture = arguments.value("--from");
    if (!picture) return;
    const core::Size size = pipeline.checked_size(request);
    request.image = core::covering(core::read_picture(*picture), size.height, size.width);
    request.size = size;
}

}  // namespace

std::vector<Option> request_options() {
    return with_run({
        {"--label", "TEXT", "A class by number or name; once for each picture.  [default: none: unconditional]"},
        {"--count", "N", "Pictures of each label.  [default: 1]"},
        {"--seed", "N", "Picture i draws from SEED + i.  [default: 0]"},
        {"--sampler", "NAME:N", "A sampler of the bundle, with its steps.  [default: its own]"},
        {"--guidance", "WEIGHT", "Guidance weight; 0 leaves the label out, 1 is the label's alone.  [default: the bundle's]"},
        {"--size", "512|WIDTHxHEIGHT", "[default: the bundle's]"},
        {"--latents", "PATH", "The noise to begin with, .npy float32 (N, channels, h, w), in place of the seed's."},
        {"--from", "PICTURE", "A picture to vary; it is scaled to cover the size, and its centre cut out."},
        {"--strength", "SHARE", "With --from: the share of the steps that are run.  [default: 0.6]"},
    });
}

void generate(const Arguments& arguments, Cancellation& cancellation) {
    core::Request request = request_of(arguments);
    const auto targets = generate_targets(arguments, request);
    Pipeline pipeline(arguments.positional(0), open_options(arguments));
    read_begin(arguments, pipeline, request);
    const Pictures pictures =
        with_progress(pipeline, request, [&](const auto& shown) { return pipeline.generate(shown, cancellation); });
    for (std::size_t i = 0; i < targets.size(); ++i) {
        core::make_folder_of(targets[i]);
        const bool each = targets.size() == pictures.rows();
        const auto picture = each ? core::one_of(pictures, i) : core::tiled(pictures);
        core::write_picture(targets[i], picture, arguments.flag("--force"));
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

void sample(const Arguments& arguments, Cancellation& cancellation) {
    core::Request request = request_of(arguments);
    const auto out = arguments.required("--out");
    core::check_latent_target(out, arguments.flag("--force"));
    Pipeline pipeline(arguments.positional(0), open_options(arguments));
    read_begin(arguments, pipeline, request);
    const auto latents =
        with_progress(pipeline, request, [&](const auto& shown) { return pipeline.sample(shown, cancellation); });
    core::write_latent(out, latents, arguments.flag("--force"));
    print_line(out);
}

}  // namespace dcae::program
