// The commands of dcae-run.
#pragma once

#include <string>
#include <vector>

#include "arguments.hpp"
#include "cancel.hpp"

namespace dcae::program {

struct Command {
    const char* name;
    const char* summary;
    std::vector<std::string> positional;
    std::vector<Option> options;
    void (*run)(const Arguments& arguments, core::Cancellation& cancellation);
};

const std::vector<Command>& commands();

// One line for the person, not for the pipe.
void print_note(const std::string& message);

}  // namespace dcae::program
