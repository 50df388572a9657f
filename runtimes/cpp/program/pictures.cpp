// encode and decode.
#include "commands.hpp"
#include "error.hpp"
#include "fit.hpp"
#include "latent_file.hpp"
#include "output.hpp"
#include "picture_file.hpp"
#include "picture_options.hpp"
#include "pipeline.hpp"
#include "progress.hpp"
#include "runtime_options.hpp"
#include "strings.hpp"

namespace dcae::program {
namespace {

using core::Cancellation;
using core::Pictures;
using core::Pipeline;

std::string size_of(const Pictures& picture) { return core::text(picture.shape[2], "x", picture.shape[1]); }

}  // namespace

void encode(const Arguments& arguments, Cancellation& cancellation) {
    const auto out = arguments.required("--out");
    const bool force = arguments.flag("--force");
    const auto mode = fit_of(arguments);
    const auto background = background_of(arguments);
    core::check_latent_target(out, force);
    Pipeline pipeline(arguments.positional(0), open_options(arguments));
    const Pictures picture = core::read_picture(arguments.positional(1), background);
    pipeline.check_size({picture.shape[1], picture.shape[2]}, mode, arguments.positional(1));
    const auto factor = pipeline.manifest().downsample;
    const core::Fitted whole = core::fitted(picture, factor, mode);
    if (whole.picture.shape != picture.shape) {
        print_note(core::text(arguments.value_or("--fit", "pad"), ": ", size_of(picture), " became ",
                              size_of(whole.picture), ", a multiple of ", factor));
    }
    const core::Floats latent = [&] {
        const Progress progress("encoding");
        return pipeline.encode(whole.picture, cancellation);
    }();
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
        core::fail(core::Status::usage, path, ": holds ", latent.rows(), " latents; save the one to decode by itself");
    }
    const Pictures picture = [&] {
        const Progress progress("decoding");
        return pipeline.decode(latent, cancellation);
    }();
    core::write_picture(out, picture, force);
    print_line(out + ": " + size_of(picture));
}

}  // namespace dcae::program
