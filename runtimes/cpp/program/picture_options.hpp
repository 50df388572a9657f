// The options of commands that read a picture for the encoder.
#pragma once

#include <vector>

#include "arguments.hpp"
#include "fit.hpp"
#include "picture_file.hpp"

namespace dcae::program {

std::vector<Option> picture_options();
core::Fit fit_of(const Arguments& arguments);
core::Background background_of(const Arguments& arguments);

}  // namespace dcae::program
