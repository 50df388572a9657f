#include "runtime_options.hpp"

#include <cstdlib>

#include "error.hpp"
#include "output.hpp"
#include "strings.hpp"

namespace dcae::program {
namespace {

// A size of memory. Less than one byte is an error, as in Python.
std::int64_t parse_bytes(const Arguments& arguments, const std::string& given) {
    const auto at = given.find_first_not_of("0123456789.");
    const auto digits = given.substr(0, at);
    const auto unit = core::folded(at == std::string::npos ? "" : given.substr(at));
    const std::pair<const char*, double> units[] = {{"kb", 1e3},       {"mb", 1e6},          {"gb", 1e9},
                                                    {"kib", 1024.0},   {"mib", 1048576.0},   {"gib", 1073741824.0}};
    for (const auto& [name, factor] : units) {
        char* end = nullptr;
        const double number = std::strtod(digits.c_str(), &end);
        const bool is_number = !digits.empty() && digits[0] != '.' && digits.back() != '.' && *end == '\0';
        if (unit != name || !is_number || number * factor >= 9e18) continue;
        const auto bytes = static_cast<std::int64_t>(number * factor);
        if (bytes < 1) core::fail(core::Status::usage, "memory limit ", bytes, ": at least one byte");
        return bytes;
    }
    arguments.refuse_value("--memory-limit", given + ": a size as in 8GB or 512MiB");
}

void read_engine_options(const Arguments& arguments, core::OpenOptions& options) {
    const auto precision = arguments.value("--engine-precision");
    const auto cache = arguments.value("--engine-cache");
    if (options.provider != core::Provider::tensorrt && (precision || cache)) {
        core::fail(core::Status::usage, cache ? "--engine-cache" : "--engine-precision", " goes with --provider tensorrt");
    }
    if (precision) options.engine.precision = *precision;
    if (cache) options.engine.cache = *cache;
    core::check(options.engine, options.provider);
}

}  // namespace

std::vector<Option> with_runtime(std::vector<Option> options) {
    options.insert(options.end(), {
        {"--provider", "NAME", "Where to run: cpu, cuda or tensorrt; nothing else is used in its place.  [default: cpu]"},
        {"--engine-precision", "NAME",
         "tensorrt: what layers may compute in, fp32, fp16, bf16, or graph: as `dcae engine build` built it.  "
         "[default: fp32]"},
        {"--engine-cache", "DIR", "tensorrt: where engines are kept.  [default: the user's cache]"},
        {"--threads", "N", "Threads of an operator.  [default: one per physical core]"},
        {"--onnxruntime", "PATH", "ONNX Runtime's library.  [default: DCAE_ONNXRUNTIME, then the usual places]"},
        {"--verify", nullptr, "Check the hashes of the bundle's files.  [default]"},
        {"--no-verify", nullptr, "Skip the hashes, with a note."},
    });
    return options;
}

std::vector<Option> with_run(std::vector<Option> options) {
    options.push_back({"--memory-limit", "8GB", "Memory that a request may take, of the GPU where one is used.  [default: what the machine has left]"});
    return with_runtime(std::move(options));
}

core::OpenOptions open_options(const Arguments& arguments) {
    core::OpenOptions options;
    options.onnxruntime = arguments.value_or("--onnxruntime", "");
    options.provider = core::provider_named(arguments.value_or("--provider", "cpu"));
    read_engine_options(arguments, options);
    options.threads = static_cast<int>(arguments.integer("--threads", 1, 4096).value_or(0));
    if (const auto limit = arguments.value("--memory-limit")) options.memory_limit = parse_bytes(arguments, *limit);
    options.verify_hashes = !arguments.flag("--no-verify");
    if (!options.verify_hashes) print_note("--no-verify: the hashes of the bundle's files are not checked");
    return options;
}

}  // namespace dcae::program
