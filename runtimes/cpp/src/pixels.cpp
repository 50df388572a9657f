#include "pixels.hpp"

#include <algorithm>
#include <cmath>

namespace dcae::core {
namespace {

constexpr std::size_t kColours = 3;
constexpr std::int64_t kGap = 4;

std::size_t side(const Shape& shape, std::size_t axis) { return static_cast<std::size_t>(shape.at(axis)); }

// Copy rows of pixels from one picture to a place in another.
void copy_into(const std::uint8_t* from, std::size_t from_width, std::uint8_t* to, std::size_t to_width,
               std::size_t rows, std::size_t columns) {
    for (std::size_t row = 0; row < rows; ++row) {
        std::copy_n(from + row * from_width * kColours, columns * kColours, to + row * to_width * kColours);
    }
}

}  // namespace

Floats to_tensor(const Pictures& pictures) {
    Floats tensor({pictures.shape[0], pictures.shape[3], pictures.shape[1], pictures.shape[2]});
    const std::size_t plane = side(pictures.shape, 1) * side(pictures.shape, 2);
    for (std::size_t picture = 0; picture < pictures.rows(); ++picture) {
        for (std::size_t pixel = 0; pixel < plane; ++pixel) {
            for (std::size_t colour = 0; colour < kColours; ++colour) {
                const auto level = static_cast<float>(pictures.data[(picture * plane + pixel) * kColours + colour]);
                tensor.data[(picture * kColours + colour) * plane + pixel] = level / 127.5f - 1.0f;
            }
        }
    }
    return tensor;
}

Pictures to_levels(const Floats& tensor) {
    Pictures pictures({tensor.shape[0], tensor.shape[2], tensor.shape[3], tensor.shape[1]});
    const std::size_t plane = side(tensor.shape, 2) * side(tensor.shape, 3);
    for (std::size_t picture = 0; picture < tensor.rows(); ++picture) {
        for (std::size_t colour = 0; colour < kColours; ++colour) {
            for (std::size_t pixel = 0; pixel < plane; ++pixel) {
                float value = tensor.data[(picture * kColours + colour) * plane + pixel] * 127.5f;
                value = std::clamp(value + 128.0f, 0.0f, 255.0f);
                pictures.data[(picture * plane + pixel) * kColours + colour] = static_cast<std::uint8_t>(value);
            }
        }
    }
    return pictures;
}

Pictures one_of(const Pictures& pictures, std::size_t index) {
    Shape shape = pictures.shape;
    shape[0] = 1;
    Pictures one(std::move(shape));
    std::copy_n(pictures.data.begin() + static_cast<std::ptrdiff_t>(index * one.data.size()), one.data.size(),
                one.data.begin());
    return one;
}

Pictures cropped(const Pictures& pictures, std::int64_t height, std::int64_t width) {
    if (pictures.shape[1] == height && pictures.shape[2] == width) return pictures;
    Pictures result({pictures.shape[0], height, width, pictures.shape[3]});
    for (std::size_t i = 0; i < pictures.rows(); ++i) {
        copy_into(pictures.data.data() + i * pictures.row_size(), side(pictures.shape, 2),
                  result.data.data() + i * result.row_size(), static_cast<std::size_t>(width),
                  static_cast<std::size_t>(height), static_cast<std::size_t>(width));
    }
    return result;
}

Pictures tiled(const Pictures& pictures) {
    const std::int64_t count = pictures.shape[0];
    if (count == 1) return pictures;
    const std::int64_t height = pictures.shape[1];
    const std::int64_t width = pictures.shape[2];
    const auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
    const std::int64_t rows = (count + columns - 1) / columns;
    Pictures sheet({1, rows * (height + kGap) - kGap, columns * (width + kGap) - kGap, 3});
    std::fill(sheet.data.begin(), sheet.data.end(), std::uint8_t{255});
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t top = i / columns * (height + kGap);
        const std::int64_t left = i % columns * (width + kGap);
        const auto at = static_cast<std::size_t>((top * sheet.shape[2] + left) * 3);
        copy_into(pictures.data.data() + static_cast<std::size_t>(i) * pictures.row_size(),
                  static_cast<std::size_t>(width), sheet.data.data() + at, side(sheet.shape, 2),
                  static_cast<std::size_t>(height), static_cast<std::size_t>(width));
    }
    return sheet;
}

}  // namespace dcae::core
