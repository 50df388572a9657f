// encode, decode and reconstruct.
#include <cmath>

#include "commands.hpp"
#include "error.hpp"
#include "fit.hpp"
#include "json.hpp"
#include "latent_file.hpp"
#include "metrics.hpp"
#include "output.hpp"
#include "picture_file.hpp"
#include "pipeline.hpp"
#include "runtime_options.hpp"
#include "strings.hpp"
#include "whole_file.hpp"

namespace dcae::program {
namespace {

using core::Cancellation;
using core::Fit;
using core::Json;
using core::Pictures;
using core::Pipeline;
using core::Status;

Fit fit_of(const Arguments& arguments) {
    const auto name = arguments.value_or("--fit", "pad");
    if (name == "pad") return Fit::pad;
    if (name == "crop") return Fit::crop;
    if (name == "resize") return Fit::resize;
    arguments.refuse("Invalid value for '--fit': " + core::quoted(name, 80) + " is not one of 'pad', 'crop', 'resize'");
}

core::Background background_of(const Arguments& arguments) {
    const auto name = arguments.value_or("--alpha", "white");
    if (name == "white") return core::Background::white;
    if (name == "black") return core::Background::black;
    arguments.refuse("Invalid value for '--alpha': " + core::quoted(name, 80) + " is not one of 'white', 'black'");
}

std::string size_of(const Pictures& picture) { return core::text(picture.shape[2], "x", picture.shape[1]); }

}  // namespace

std::vector<Option> picture_options() {
    return with_runtime({{"--fit", "pad|crop|resize", "What to do with a size that is no multiple of the bundle's factor.  [default: pad]"},
                         {"--alpha", "white|black", "The background of transparent pictures.  [default: white]"}});
}

void encode(const Arguments& arguments, Cancellation& cancellation) {
    const auto out = arguments.required("--out");
    const bool force = arguments.flag("--force");
    const Fit mode = fit_of(arguments);
    const auto background = background_of(arguments);
    core::check_latent_target(out, force);
    Pipeline pipeline(arguments.positional(0), open_options(arguments));
    const Pictures picture = core::read_picture(arguments.positional(1), background);
    const auto factor = pipeline.manifest().downsample;
    const core::Fitted whole = core::fitted(picture, factor, mode);
    if (whole.picture.shape != picture.shape) {
        print_note(core::text(arguments.value_or("--fit", "pad"), ": ", size_of(picture), " became ",
                              size_of(whole.picture), ", a multiple of ", factor));
    }
    const core::Floats latent = pipeline.encode(whole.picture, cancellation);
    core::write_latent(out, latent, force);
    std::vector<std::string> sizes;
    for (const auto size : latent.shape) sizes.push_back(std::to_string(size));
    print_line(out + ": " + core::joined(sizes, " x ") + " float32");
}

void decode(const Arguments& arguments, Cancellation& cancellation) {
    const auto out = arguments.required("--out");
    const auto& path = arguments.positional(1);
    const bool force = arguments.flag("--force");
    core::check_picture_target(out, force);
    Pipeline pipeline(arguments.positional(0), open_options(arguments));
    const core::GraphFiles decoder = pipeline.bundle().check_graph("decoder");
    const core::Floats latent = core::read_latent(path, *decoder.graph);
    if (latent.rows() != 1) {
        core::fail(Status::usage, path, ": holds ", latent.rows(), " latents; save the one to decode by itself");
    }
    const Pictures picture = pipeline.decode(latent, cancellation);
    core::write_picture(out, picture, force);
    print_line(out + ": " + size_of(picture));
}

void reconstruct(const Arguments& arguments, Cancellation& cancellation) {
    const auto out = arguments.required("--out");
    const bool force = arguments.flag("--force");
    const Fit mode = fit_of(arguments);
    const auto background = background_of(arguments);
    core::check_picture_target(out, force);
    Pipeline pipeline(arguments.positional(0), open_options(arguments));
    Pictures picture = core::read_picture(arguments.positional(1), background);
    // Measured against what the model was given, but for what padding adds.
    if (mode != Fit::pad) picture = core::fitted(picture, pipeline.manifest().downsample, mode).picture;
    const Pictures back = pipeline.reconstruct(picture, mode, cancellation);
    core::write_picture(out, back, force);
    const double decibels = core::psnr_db(picture, back);
    const auto similarity = core::ssim(picture, back);
    if (!arguments.flag("--json")) {
        print_line(out + ": " + size_of(picture) + ", PSNR " + formatted("%.2f", decibels) + " dB, SSIM " +
                   (similarity ? formatted("%.4f", *similarity) : "-"));
        return;
    }
    Json one;
    one["picture"] = arguments.positional(1);
    one["out"] = out;
    one["sheet"] = nullptr;
    one["width"] = picture.shape[2];
    one["height"] = picture.shape[1];
    one["psnr_db"] = finite(decibels);
    one["ssim"] = similarity ? Json(*similarity) : Json(nullptr);
    Json content;
    content["bundle"] = arguments.positional(0);
    content["pictures"] = Json::array({one});
    content["unreadable"] = Json::array();
    content["mean"]["psnr_db"] = one["psnr_db"];
    content["mean"]["ssim"] = one["ssim"];
    print_json(content);
}

}  // namespace dcae::program
