// What commands print: JSON and tables on stdout, notes on stderr.
#pragma once

#include <string>
#include <vector>

#include "json.hpp"

namespace dcae::program {

void print_line(const std::string& line);
void print_json(const core::Json& content);
// One line for the person, not for the pipe.
void print_note(const std::string& message);
// Put another line in the place of the terminal's last one; "" leaves none.
void redraw_line(const std::string& line);
// Aligned columns; what is not printable is escaped.
void print_table(const std::vector<std::vector<std::string>>& rows);
// A number of bytes as a person reads it.
std::string size_text(std::int64_t bytes);
// A value as JSON has it, which knows neither infinity nor NaN.
core::Json finite(double value);

}  // namespace dcae::program
