#include "arguments.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::program {
namespace {

std::optional<std::uint64_t> whole_number(const std::string& digits) {
    const bool whole = digits.find_first_not_of("0123456789") == std::string::npos;
    if (digits.empty() || digits.size() > 20 || !whole) return std::nullopt;
    errno = 0;
    const unsigned long long number = std::strtoull(digits.c_str(), nullptr, 10);
    return errno == 0 ? std::optional<std::uint64_t>(number) : std::nullopt;
}

}  // namespace

Arguments::Arguments(std::string command, const std::vector<std::string>& given, std::vector<Option> options,
                     std::vector<std::string> positional)
    : command_(std::move(command)), options_(std::move(options)) {
    bool only_positional = false;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const std::string& one = given[i];
        if (only_positional || one.size() < 2 || one[0] != '-') {
            positional_.push_back(one);
            continue;
        }
        if (one == "--") {
            only_positional = true;
            continue;
        }
        const auto equals = one.find('=');
        const auto name = one.substr(0, equals);
        const auto option = std::find_if(options_.begin(), options_.end(),
                                         [&](const Option& known) { return name == known.name; });
        if (option == options_.end()) refuse("No such option: " + name);
        if (option->value == nullptr) {
            if (equals != std::string::npos) refuse("Option " + core::in_quotes(name) + " does not take a value");
            given_.emplace_back(name, "");
        } else if (equals != std::string::npos) {
            given_.emplace_back(name, one.substr(equals + 1));
        } else if (i + 1 < given.size()) {
            given_.emplace_back(name, given[++i]);
        } else {
            refuse("Option " + core::in_quotes(name) + " requires an argument");
        }
    }
    if (positional_.size() < positional.size()) {
        refuse("Missing argument " + core::in_quotes(positional[positional_.size()]));
    }
    if (positional_.size() > positional.size()) {
        refuse("Got unexpected extra argument (" + positional_[positional.size()] + ")");
    }
}

std::vector<std::string> Arguments::values(const std::string& name) const {
    std::vector<std::string> found;
    for (const auto& [key, value] : given_) {
        if (key == name) found.push_back(value);
    }
    return found;
}

std::optional<std::string> Arguments::value(const std::string& name) const {
    const auto found = values(name);
    if (found.size() > 1) refuse("Option " + core::in_quotes(name) + " is given more than once");
    return found.empty() ? std::nullopt : std::optional(found.back());
}

std::string Arguments::value_or(const std::string& name, const std::string& otherwise) const {
    return value(name).value_or(otherwise);
}

std::string Arguments::required(const std::string& name) const {
    const auto found = value(name);
    if (!found) refuse("Missing option " + core::in_quotes(name));
    return *found;
}

std::optional<std::int64_t> Arguments::integer(const std::string& name, std::int64_t least, std::int64_t most) const {
    const auto given = value(name);
    if (!given) return std::nullopt;
    const auto number = whole_number(*given);
    if (!number || *number > static_cast<std::uint64_t>(most) || *number < static_cast<std::uint64_t>(least)) {
        refuse_whole(name, *given, std::to_string(least) + "<=x<=" + std::to_string(most));
    }
    return static_cast<std::int64_t>(*number);
}

std::uint64_t Arguments::seed(const std::string& name) const {
    const auto given = value(name);
    if (!given) return 0;
    const auto number = whole_number(*given);
    if (!number) refuse_whole(name, *given, "0<=x<=" + std::to_string(std::numeric_limits<std::uint64_t>::max()));
    return *number;
}

std::optional<double> Arguments::number(const std::string& name) const {
    const auto given = value(name);
    if (!given) return std::nullopt;
    char* end = nullptr;
    const double number = std::strtod(given->c_str(), &end);
    if (given->empty() || *end != '\0') refuse_value(name, core::in_quotes(*given, 80) + " is not a valid number");
    return number;
}

// One that is whole lies outside of the range.
void Arguments::refuse_whole(const std::string& name, const std::string& given, const std::string& range) const {
    const auto digits = given.substr(given.rfind('-', 0) == 0 ? 1 : 0);
    const bool whole = !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
    if (!whole) refuse_value(name, core::in_quotes(given, 80) + " is not a valid whole number");
    refuse_value(name, core::one_line(given).substr(0, 80) + " is not in the range " + range);
}

void Arguments::refuse_value(const std::string& name, const std::string& why) const {
    refuse("Invalid value for " + core::in_quotes(name) + ": " + why);
}

void Arguments::refuse(const std::string& message) const {
    core::fail(core::Status::usage, message, "; see dcae-run ", command_, " --help");
}

}  // namespace dcae::program
