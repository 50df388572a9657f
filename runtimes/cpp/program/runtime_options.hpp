// The options of every command that runs a bundle.
#pragma once

#include <vector>

#include "arguments.hpp"
#include "pipeline.hpp"

namespace dcae::program {

// The options, and those of runs: provider, threads, library, hashes.
std::vector<Option> with_runtime(std::vector<Option> options);
core::OpenOptions open_options(const Arguments& arguments);

}  // namespace dcae::program
