// A command's arguments and options.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dcae::program {

struct Option {
    const char* name;
    // What stands for its value in help; null for a flag.
    const char* value;
    const char* help;
};

// What was given on the command line, held to a list of options: `--name value`, `--name=value` or a flag.
class Arguments {
public:
    Arguments(std::string command, const std::vector<std::string>& given, std::vector<Option> options,
              std::vector<std::string> positional);

    const std::string& positional(std::size_t index) const { return positional_.at(index); }
    bool flag(const std::string& name) const { return !values(name).empty(); }
    std::vector<std::string> values(const std::string& name) const;
    std::optional<std::string> value(const std::string& name) const;
    std::string value_or(const std::string& name, const std::string& otherwise) const;
    std::string required(const std::string& name) const;
    std::optional<std::int64_t> integer(const std::string& name, std::int64_t least, std::int64_t most) const;
    std::uint64_t seed(const std::string& name) const;
    std::optional<double> number(const std::string& name) const;

    [[noreturn]] void refuse_value(const std::string& name, const std::string& why) const;
    [[noreturn]] void refuse(const std::string& message) const;

private:
    [[noreturn]] void refuse_whole(const std::string& name, const std::string& given, const std::string& range) const;

    std::string command_;
    std::vector<Option> options_;
    std::vector<std::pair<std::string, std::string>> given_;
    std::vector<std::string> positional_;
};

}  // namespace dcae::program
