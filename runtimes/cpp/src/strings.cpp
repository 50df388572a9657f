#include "strings.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace dcae::core {
namespace {

struct Range {
    std::uint32_t first;
    std::uint32_t last;
};

// Controls, separators but the space, format characters, surrogates and private use.
constexpr std::array<Range, 25> kUnprintable = {{
    {0x0, 0x1F},         {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
    {0x6DD, 0x6DD},      {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x1680, 0x1680},
    {0x180E, 0x180E},    {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},
    {0xD800, 0xF8FF},    {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD},
    {0x110CD, 0x110CD},  {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0x10FFFF},
}};

void append_utf8(std::string& out, std::uint32_t point) {
    const auto byte = [&out](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
    if (point < 0x80) {
        byte(point);
    } else if (point < 0x800) {
        byte(0xC0 | point >> 6);
        byte(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        byte(0xE0 | point >> 12);
        byte(0x80 | (point >> 6 & 0x3F));
        byte(0x80 | (point & 0x3F));
    } else {
        byte(0xF0 | point >> 18);
        byte(0x80 | (point >> 12 & 0x3F));
        byte(0x80 | (point >> 6 & 0x3F));
        byte(0x80 | (point & 0x3F));
    }
}

void append_escaped(std::string& out, std::uint32_t point) {
    std::array<char, 12> buffer{};
    const char* form = point < 0x100 ? "\\x%02x" : point < 0x10000 ? "\\u%04x" : "\\U%08x";
    switch (point) {
        case '\t': out += "\\t"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        default: break;
    }
    std::snprintf(buffer.data(), buffer.size(), form, point);
    out += buffer.data();
}

bool is_space(std::uint32_t point) {
    return point == ' ' || (point >= 0x9 && point <= 0xD) || (point >= 0x1C && point <= 0x1F) || point == 0x85 ||
           point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x2028 ||
           point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

// Length of the longest common blocks of two texts: the longest one, and those left and right of it.
std::size_t matched(std::string_view a, std::string_view b) {
    std::size_t best = 0;
    std::size_t at_a = 0;
    std::size_t at_b = 0;
    std::vector<std::size_t> lengths(b.size() + 1, 0);
    for (std::size_t i = 0; i < a.size(); ++i) {
        for (std::size_t j = b.size(); j-- > 0;) {
            lengths[j + 1] = a[i] == b[j] ? lengths[j] + 1 : 0;
            if (lengths[j + 1] > best) {
                best = lengths[j + 1];
                at_a = i + 1 - best;
                at_b = j + 1 - best;
            }
        }
    }
    if (best == 0) return 0;
    return best + matched(a.substr(0, at_a), b.substr(0, at_b)) +
           matched(a.substr(at_a + best), b.substr(at_b + best));
}

}  // namespace

std::vector<std::uint32_t> code_points(std::string_view utf8) {
    std::vector<std::uint32_t> points;
    for (std::size_t at = 0; at < utf8.size();) {
        const auto first = static_cast<unsigned char>(utf8[at]);
        const std::size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
        std::uint32_t point = length == 1 ? first : length == 2 ? first & 0x1Fu : length == 3 ? first & 0xFu : first & 0x7u;
        bool whole = length != 0 && at + length <= utf8.size();
        for (std::size_t i = 1; whole && i < length; ++i) {
            const auto next = static_cast<unsigned char>(utf8[at + i]);
            whole = (next & 0xC0) == 0x80;
            point = point << 6 | (next & 0x3Fu);
        }
        constexpr std::array<std::uint32_t, 5> least = {0, 0, 0x80, 0x800, 0x10000};
        whole = whole && point >= least[length] && point <= 0x10FFFF && !(point >= 0xD800 && point <= 0xDFFF);
        points.push_back(whole ? point : 0xDC00u + first);
        at += whole ? length : 1;
    }
    return points;
}

bool is_printable(std::uint32_t code_point) {
    return std::none_of(kUnprintable.begin(), kUnprintable.end(), [code_point](const Range& range) {
        return range.first <= code_point && code_point <= range.last;
    });
}

bool is_printable(std::string_view utf8) {
    const auto points = code_points(utf8);
    return std::all_of(points.begin(), points.end(), [](std::uint32_t point) { return is_printable(point); });
}

std::string one_line(std::string_view utf8) {
    std::string line;
    bool space = false;
    for (const auto point : code_points(utf8)) {
        if (is_space(point)) {
            space = true;
            continue;
        }
        if (space && !line.empty()) line += ' ';
        space = false;
        if (is_printable(point)) {
            append_utf8(line, point);
        } else {
            append_escaped(line, point);
        }
    }
    return line;
}

std::string in_quotes(std::string_view utf8, std::size_t most) {
    auto points = code_points(utf8);
    if (points.size() > most) points.resize(most);
    const auto has = [&points](std::uint32_t wanted) {
        return std::find(points.begin(), points.end(), wanted) != points.end();
    };
    const char quote = has('\'') && !has('"') ? '"' : '\'';
    std::string result(1, quote);
    for (const auto point : points) {
        if (point == '\\' || point == static_cast<std::uint32_t>(quote)) {
            result += '\\';
            append_utf8(result, point);
        } else if (is_printable(point)) {
            append_utf8(result, point);
        } else {
            append_escaped(result, point);
        }
    }
    return result + quote;
}

std::string folded(std::string_view utf8) {
    std::string lower(utf8);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    constexpr std::string_view white = " \t\n\v\f\r";
    const auto first = lower.find_first_not_of(white);
    if (first == std::string::npos) return "";
    return lower.substr(first, lower.find_last_not_of(white) - first + 1);
}

std::string formatted(const char* form, double value) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, form, value);
    return buffer;
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
    std::string result;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) result += between;
        result += parts[i];
    }
    return result;
}

std::vector<std::string> words_of(std::string_view name) {
    std::vector<std::string> words;
    for (std::size_t start = 0; start <= name.size();) {
        const auto comma = std::min(name.find(',', start), name.size());
        words.push_back(folded(name.substr(start, comma - start)));
        start = comma + 1;
    }
    return words;
}

std::vector<std::string> similar_words(const std::string& wanted, const std::vector<std::string>& words) {
    constexpr double least = 0.6;
    std::vector<std::pair<double, std::string>> found;
    for (const auto& word : words) {
        const auto total = static_cast<double>(word.size() + wanted.size());
        if (total == 0 || word.size() > 200 || wanted.size() > 200) continue;
        const double ratio = 2.0 * static_cast<double>(matched(word, wanted)) / total;
        if (ratio >= least) found.emplace_back(ratio, word);
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a > b; });
    std::vector<std::string> result;
    for (const auto& [ratio, word] : found) {
        if (result.size() < 3) result.push_back(word);
    }
    return result;
}

}  // namespace dcae::core
