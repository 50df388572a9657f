#include "commands.hpp"

#include "error.hpp"
#include "latent_file.hpp"
#include "noise.hpp"
#include "output.hpp"
#include "picture_options.hpp"
#include "runtime_options.hpp"

namespace dcae::program {
namespace {

constexpr Option kJson = {"--json", nullptr, "Print one JSON object instead of text."};
constexpr Option kForce = {"--force", nullptr, "Replace existing files."};

std::vector<Option> joined(std::vector<Option> options, const std::vector<Option>& others) {
    options.insert(options.end(), others.begin(), others.end());
    return options;
}

void noise(const Arguments& arguments, core::Cancellation&) {
    const auto out = arguments.required("--out");
    const auto count = arguments.integer("--count", 0, 1 << 28);
    if (!count) arguments.refuse("Missing option '--count'");
    core::check_latent_target(out, arguments.flag("--force"));
    core::Floats numbers(core::Shape{*count});
    core::normals(arguments.seed("--seed"), arguments.seed("--stream"), numbers.data.size(), numbers.data.data());
    core::write_latent(out, numbers, arguments.flag("--force"));
    print_line(out);
}

}  // namespace

const std::vector<Command>& commands() {
    static const std::vector<Command> all = {
        {"generate", "Generate pictures: one seed, one picture, whatever the batch.", {"BUNDLE"},
         joined({{"--out", "PATH", "A picture; with --each, a folder.  [default: ./ and the first label and seed]"},
                 {"--each", nullptr, "One file for each picture, not one sheet of all."}, kForce, kJson},
                request_options()),
         generate},
        {"sample", "Write the latents that generate would decode, in diffusion scale: .npy float32.", {"BUNDLE"},
         joined({{"--out", "PATH", "A .npy file."}, kForce}, request_options()), sample},
        {"reconstruct", "Encode and decode a picture, or a folder of them, and measure the loss.",
         {"BUNDLE", "PICTURE|FOLDER"},
         joined({{"--out", "PATH", "A picture; for a folder, a folder, which gets them as PNG."}, kForce, kJson}, picture_options()), reconstruct},
        {"encode", "Write the latent of a picture: .npy, float32 (1, channels, height, width).", {"BUNDLE", "PICTURE"},
         joined({{"--out", "PATH", "A .npy file."}, kForce}, picture_options()), encode},
        {"decode", "Write the picture of a latent, which is a file as encode writes it.", {"BUNDLE", "LATENT"},
         joined({{"--out", "PATH", "A .png, .jpg or .webp file."}, kForce}, with_run({})), decode},
        {"parity", "Run a bundle's golden arrays and compare with what PyTorch gave.", {"BUNDLE"},
         joined({kJson}, with_runtime({})), parity},
        {"verify", "Check a bundle's structure and hashes, without running it.", {"BUNDLE"}, {kJson}, verify},
        {"inspect", "Say what a bundle is, and what is there to run it.", {"BUNDLE"}, joined({kJson}, with_runtime({})),
         inspect},
        {"noise", "Write the numbers of a stream of noise: .npy float32.", {},
         {{"--seed", "N", "[default: 0]"}, {"--stream", "N", "[default: 0]"}, {"--count", "N", "How many numbers."},
          {"--out", "PATH", "A .npy file."}, kForce},
         noise},
    };
    return all;
}

}  // namespace dcae::program
