// NumPy's .npy files, version 1.0, C order, little-endian.
#pragma once

#include <optional>
#include <string>

#include "array.hpp"
#include "files.hpp"

namespace dcae::core {

constexpr std::size_t kMaxArrayHeader = 1024;

struct ArrayHeader {
    // As NumPy spells it: "<f4".
    std::string dtype;
    bool is_fortran = false;
    Shape shape;
    std::size_t start = 0;
};

// The header at the beginning of a file; none where it is no array of numbers in this version of the format.
std::optional<ArrayHeader> parse_array_header(const unsigned char* data, std::size_t size);

// NumPy's spelling of a manifest's dtype.
std::string numpy_dtype(const std::string& dtype);

// The bytes of a file of float32.
Bytes array_file(const float* data, const Shape& shape);

// The product of a shape's sizes times a factor; 2^63 - 1 where that is more.
std::int64_t saturated_product(const Shape& shape, std::int64_t factor = 1);

}  // namespace dcae::core
