#include "output.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>

#include "strings.hpp"

namespace dcae::program {

using core::Json;

namespace {

constexpr const char* kClearLine = "\r\x1b[2K";
// By one thread, in the way of what another one prints.
std::atomic<bool> a_line_is_drawn{false};

}  // namespace

void print_line(const std::string& line) { std::printf("%s\n", line.c_str()); }

void print_json(const Json& content) {
    // A file's name need not be UTF-8.
    print_line(content.dump(2, ' ', true, Json::error_handler_t::replace));
}

void print_note(const std::string& message) {
    const char* clear = a_line_is_drawn.exchange(false) ? kClearLine : "";
    std::fprintf(stderr, "%sdcae: %s\n", clear, core::one_line(message).c_str());
}

void redraw_line(const std::string& line) {
    // Cut to the terminal's width: a line that wraps could not be redrawn.
    winsize size{};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    a_line_is_drawn = !line.empty();
    std::fprintf(stderr, "%s%s", kClearLine, line.substr(0, known ? size.ws_col - 1u : 79u).c_str());
    std::fflush(stderr);
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    std::vector<std::vector<std::string>> shown;
    for (const auto& row : rows) {
        auto& cells = shown.emplace_back();
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            cells.push_back(core::one_line(row[i]));
            widths[i] = std::max(widths[i], core::code_points(cells.back()).size());
        }
    }
    for (const auto& row : shown) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line.append(widths[i] + 2 - core::code_points(row[i]).size(), ' ');
        }
        print_line(line.substr(0, line.find_last_not_of(' ') + 1));
    }
}

std::string size_text(std::int64_t bytes) {
    const std::pair<std::int64_t, const char*> units[] = {{1000000000, "GB"}, {1000000, "MB"}, {1000, "kB"}};
    for (const auto& [unit, name] : units) {
        if (bytes >= unit) return core::formatted("%.1f ", static_cast<double>(bytes) / static_cast<double>(unit)) + name;
    }
    return std::to_string(bytes) + " bytes";
}

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace dcae::program
