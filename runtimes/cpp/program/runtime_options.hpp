// The options of every command that opens a bundle.
#pragma once

#include <vector>

#include "arguments.hpp"
#include "pipeline.hpp"

namespace dcae::program {

// The options, and those of all of them: provider, threads, library, hashes.
std::vector<Option> with_runtime(std::vector<Option> options);
// Those, and the memory that a run may take.
std::vector<Option> with_run(std::vector<Option> options);
core::OpenOptions open_options(const Arguments& arguments);

}  // namespace dcae::program
