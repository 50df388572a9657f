// What stops a call: a status, and one line that says what is wrong, where, and where there is one the way out.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace dcae::core {

// The numbers are exit statuses of the program, and those of the C interface.
enum class Status : int {
    ok = 0,
    fault = 1,
    usage = 2,
    input = 3,
    refused = 4,
    provider = 5,
    resource = 6,
    parity = 7,
    cancelled = 130,
};

class Error : public std::runtime_error {
public:
    Error(Status status, const std::string& message) : std::runtime_error(message), status_(status) {}

    Status status() const noexcept { return status_; }

private:
    Status status_;
};

// The arguments as one text.
template <typename... Parts>
std::string text(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

template <typename... Parts>
[[noreturn]] void fail(Status status, const Parts&... parts) {
    throw Error(status, text(parts...));
}

}  // namespace dcae::core
