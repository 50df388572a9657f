#include "npy.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "error.hpp"

namespace dcae::core {
namespace {

// Reads a text from its beginning, part by part.
class Cursor {
public:
    explicit Cursor(std::string_view text) : text_(text) {}

    bool takes(std::string_view expected) {
        if (text_.substr(at_, expected.size()) != expected) return false;
        at_ += expected.size();
        return true;
    }

    std::string digits(std::size_t most) {
        const auto begin = at_;
        while (at_ < text_.size() && at_ - begin < most && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
        return std::string(text_.substr(begin, at_ - begin));
    }

    char one() { return at_ < text_.size() ? text_[at_++] : '\0'; }
    std::size_t at() const { return at_; }

private:
    std::string_view text_;
    std::size_t at_ = 0;
};

bool read_shape(Cursor& cursor, Shape& shape) {
    if (!cursor.takes("(")) return false;
    if (cursor.takes(")")) return true;
    for (;;) {
        const auto digits = cursor.digits(18);
        if (digits.empty()) return false;
        shape.push_back(std::stoll(digits));
        if (shape.size() == 1 && cursor.takes(",)")) return true;
        if (shape.size() > 1 && cursor.takes(")")) return true;
        if (!cursor.takes(", ")) return false;
    }
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

std::optional<ArrayHeader> parse_array_header(const unsigned char* data, std::size_t size) {
    constexpr std::size_t fixed = 10;
    if (size < fixed || std::memcmp(data, "\x93NUMPY\x01\x00", 8) != 0) return std::nullopt;
    const std::size_t length = data[8] | static_cast<std::size_t>(data[9]) << 8;
    if (fixed + length > size || fixed + length > kMaxArrayHeader) return std::nullopt;
    Cursor cursor(std::string_view(reinterpret_cast<const char*>(data) + fixed, length));
    ArrayHeader header;
    if (!cursor.takes("{'descr': '")) return std::nullopt;
    header.dtype = {cursor.one(), cursor.one()};
    if (std::string_view("<>|=").find(header.dtype[0]) == std::string_view::npos || !is_letter(header.dtype[1])) {
        return std::nullopt;
    }
    header.dtype += cursor.digits(5);
    if (!cursor.takes("', 'fortran_order': ")) return std::nullopt;
    header.is_fortran = cursor.takes("True");
    if (!header.is_fortran && !cursor.takes("False")) return std::nullopt;
    if (!cursor.takes(", 'shape': ") || !read_shape(cursor, header.shape) || !cursor.takes(", }")) return std::nullopt;
    while (cursor.takes(" ")) {
    }
    if (!cursor.takes("\n") || cursor.at() != length) return std::nullopt;
    header.start = fixed + length;
    return header;
}

std::string numpy_dtype(const std::string& dtype) {
    return dtype == "float32" ? "<f4" : dtype == "int64" ? "<i8" : "|u1";
}

Bytes array_file(const float* data, const Shape& shape) {
    std::string sizes;
    for (const auto size : shape) sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
    if (shape.size() == 1) sizes += ",";
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + sizes + "), }";
    // The values begin at a multiple of 64 bytes.
    header.append(64 - (10 + header.size() + 1) % 64, ' ');
    header += '\n';
    std::string begin("\x93NUMPY\x01\x00", 8);
    begin += static_cast<char>(header.size() & 0xFF);
    begin += static_cast<char>(header.size() >> 8);
    begin += header;
    const std::size_t size = 4 * element_count(shape);
    Bytes file(begin.size() + size);
    std::copy(begin.begin(), begin.end(), file.begin());
    if (size > 0) std::memcpy(file.data() + begin.size(), data, size);
    return file;
}

std::int64_t saturated_product(const Shape& shape, std::int64_t factor) {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    std::int64_t product = factor;
    for (const auto size : shape) {
        if (size == 0) return 0;
        product = product > most / size ? most : product * size;
    }
    return product;
}

std::string shape_text(const Shape& shape) {
    std::string result = "[";
    for (const auto size : shape) result += (result.size() > 1 ? ", " : "") + std::to_string(size);
    return result + "]";
}

}  // namespace dcae::core
