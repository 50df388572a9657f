// Arrays in C order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace dcae::core {

using Shape = std::vector<std::int64_t>;

// How many elements a shape has; only of shapes whose product is known to fit.
inline std::size_t element_count(const Shape& shape) {
    std::size_t count = 1;
    for (const auto size : shape) count *= static_cast<std::size_t>(size);
    return count;
}

template <typename Element>
struct Array {
    Shape shape;
    std::vector<Element> data;

    Array() = default;
    explicit Array(Shape of) : shape(std::move(of)), data(element_count(shape)) {}
    Array(Shape of, std::vector<Element> values) : shape(std::move(of)), data(std::move(values)) {}

    std::size_t rows() const { return static_cast<std::size_t>(shape.at(0)); }
    // Elements of one entry along the first axis.
    std::size_t row_size() const { return shape.at(0) == 0 ? 0 : data.size() / rows(); }
};

using Floats = Array<float>;
// Pictures: (count, height, width, 3), RGB, 0 to 255.
using Pictures = Array<std::uint8_t>;
using Integers = Array<std::int64_t>;
using AnyArray = std::variant<Floats, Pictures, Integers>;

inline Shape shape_of(const AnyArray& array) {
    return std::visit([](const auto& values) { return values.shape; }, array);
}

// [1, 2, 3], as messages have it.
std::string shape_text(const Shape& shape);

// The first `count` entries along the first axis; the last one is repeated where there are fewer.
template <typename Element>
Array<Element> with_rows(const Array<Element>& array, std::size_t count) {
    Shape shape = array.shape;
    shape.at(0) = static_cast<std::int64_t>(count);
    const std::size_t size = array.row_size();
    Array<Element> result(std::move(shape));
    for (std::size_t row = 0; row < count; ++row) {
        const std::size_t from = row < array.rows() ? row : array.rows() - 1;
        for (std::size_t i = 0; i < size; ++i) result.data[row * size + i] = array.data[from * size + i];
    }
    return result;
}

}  // namespace dcae::core
