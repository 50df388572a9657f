#include "runtime_options.hpp"

#include "output.hpp"

namespace dcae::program {

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

}  // namespace dcae::program
