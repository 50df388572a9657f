// Text from files and users: as one printable line, quoted, and compared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dcae::core {

// The code points of UTF-8; each byte that belongs to none becomes U+DC80 to U+DCFF.
std::vector<std::uint32_t> code_points(std::string_view utf8);

// Whether a terminal shows a code point as itself: no control, format, private or separating one but the space.
bool is_printable(std::uint32_t code_point);
bool is_printable(std::string_view utf8);

// One line that cannot drive a terminal: runs of white space become a space, the rest is escaped.
std::string one_line(std::string_view utf8);

// In quotes, with escapes for what is not printable; at most `most` characters of it.
std::string in_quotes(std::string_view utf8, std::size_t most = 1000);

// ASCII letters in lower case, white space at both ends removed.
std::string folded(std::string_view utf8);

// A number in printf's form.
std::string formatted(const char* form, double value);

std::string joined(const std::vector<std::string>& parts, std::string_view between);

// The words of a name that lists some between commas, folded.
std::vector<std::string> words_of(std::string_view name);

// Up to three of the words that resemble a text most, the most similar first.
std::vector<std::string> similar_words(const std::string& wanted, const std::vector<std::string>& words);

}  // namespace dcae::core
