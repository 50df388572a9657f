#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "error.hpp"

namespace dcae::core {
namespace {

constexpr std::size_t kColours = 3;

Pictures centre(const Pictures& picture, std::int64_t height, std::int64_t width) {
    Pictures result({1, height, width, 3});
    const auto top = (picture.shape[1] - height) / 2;
    const auto left = (picture.shape[2] - width) / 2;
    for (std::int64_t row = 0; row < height; ++row) {
        const auto from = static_cast<std::ptrdiff_t>(((top + row) * picture.shape[2] + left) * 3);
        std::copy_n(picture.data.begin() + from, width * 3, result.data.begin() + static_cast<std::ptrdiff_t>(row * width * 3));
    }
    return result;
}

Pictures padded(const Pictures& picture, std::int64_t height, std::int64_t width) {
    Pictures result({1, height, width, 3});
    for (std::int64_t row = 0; row < height; ++row) {
        for (std::int64_t column = 0; column < width; ++column) {
            const auto y = std::min(row, picture.shape[1] - 1);
            const auto x = std::min(column, picture.shape[2] - 1);
            std::copy_n(picture.data.begin() + static_cast<std::ptrdiff_t>((y * picture.shape[2] + x) * 3), 3,
                        result.data.begin() + static_cast<std::ptrdiff_t>((row * width + column) * 3));
        }
    }
    return result;
}

// What one position along an axis is made of: weights of neighbours from `first` on.
struct Tap {
    std::int64_t first = 0;
    std::vector<double> weights;
};

// Averages over the area that a position covers; no aliasing, but only for sides that do not grow.
std::vector<Tap> area_taps(std::int64_t from, std::int64_t to) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    std::vector<Tap> taps(static_cast<std::size_t>(to));
    for (std::int64_t i = 0; i < to; ++i) {
        const double begin = static_cast<double>(i) * scale;
        const double end = static_cast<double>(i + 1) * scale;
        Tap& tap = taps[static_cast<std::size_t>(i)];
        tap.first = static_cast<std::int64_t>(begin);
        for (auto at = tap.first; at < from && static_cast<double>(at) < end; ++at) {
            const double covered = std::min(end, static_cast<double>(at + 1)) - std::max(begin, static_cast<double>(at));
            tap.weights.push_back(covered / scale);
        }
    }
    return taps;
}

// Cubic convolution (Keys 1981) with a = -0.75, as OpenCV has it.
std::vector<Tap> cubic_taps(std::int64_t from, std::int64_t to) {
    constexpr double a = -0.75;
    const auto kernel = [](double x) {
        x = std::fabs(x);
        if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0.0;
    };
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    std::vector<Tap> taps(static_cast<std::size_t>(to));
    for (std::int64_t i = 0; i < to; ++i) {
        const double at = (static_cast<double>(i) + 0.5) * scale - 0.5;
        Tap& tap = taps[static_cast<std::size_t>(i)];
        tap.first = static_cast<std::int64_t>(std::floor(at)) - 1;
        for (int k = 0; k < 4; ++k) tap.weights.push_back(kernel(at - static_cast<double>(tap.first + k)));
    }
    return taps;
}

Pictures resized(const Pictures& picture, std::int64_t height, std::int64_t width) {
    const auto rows = picture.shape[1];
    const auto columns = picture.shape[2];
    if (rows == height && columns == width) return picture;
    const bool shrinks = height <= rows && width <= columns;
    const auto down = shrinks ? area_taps(rows, height) : cubic_taps(rows, height);
    const auto across = shrinks ? area_taps(columns, width) : cubic_taps(columns, width);
    // OpenCV rounds what lies between two levels up where it halves both sides, else to the even one.
    const bool halves = rows == 2 * height && columns == 2 * width;
    const auto rounded = [halves](double value) { return halves ? std::floor(value + 0.5) : std::nearbyint(value); };
    Pictures result({1, height, width, 3});
    // One row of the result at a time: first down, then across; beyond the edges the last pixel stands.
    std::vector<double> line(static_cast<std::size_t>(columns) * kColours);
    const auto inside = [](std::int64_t at, std::int64_t size) { return std::clamp<std::int64_t>(at, 0, size - 1); };
    for (std::size_t row = 0; row < down.size(); ++row) {
        std::fill(line.begin(), line.end(), 0.0);
        for (std::size_t k = 0; k < down[row].weights.size(); ++k) {
            const auto y = static_cast<std::size_t>(inside(down[row].first + static_cast<std::int64_t>(k), rows));
            for (std::size_t i = 0; i < line.size(); ++i) line[i] += down[row].weights[k] * picture.data[y * line.size() + i];
        }
        for (std::size_t column = 0; column < across.size(); ++column) {
            const Tap& tap = across[column];
            for (std::size_t colour = 0; colour < kColours; ++colour) {
                double value = 0;
                for (std::size_t k = 0; k < tap.weights.size(); ++k) {
                    const auto x = static_cast<std::size_t>(inside(tap.first + static_cast<std::int64_t>(k), columns));
                    value += tap.weights[k] * line[x * kColours + colour];
                }
                result.data[(row * across.size() + column) * kColours + colour] =
                    static_cast<std::uint8_t>(std::clamp(rounded(value), 0.0, 255.0));
            }
        }
    }
    return result;
}

}  // namespace

std::pair<std::int64_t, std::int64_t> fitted_size(std::int64_t height, std::int64_t width, std::int64_t divisor, Fit mode) {
    const auto side = [divisor, mode](std::int64_t size) {
        if (mode == Fit::pad) return (size + divisor - 1) / divisor * divisor;
        if (mode == Fit::crop) return size - size % divisor;
        return std::max(divisor, (size + divisor / 2) / divisor * divisor);
    };
    return {side(height), side(width)};
}

Fitted fitted(const Pictures& picture, std::int64_t divisor, Fit mode) {
    const auto height = picture.shape[1];
    const auto width = picture.shape[2];
    const auto [rows, columns] = fitted_size(height, width, divisor, mode);
    if (mode == Fit::pad) return {padded(picture, rows, columns), height, width};
    if (mode == Fit::resize) return {resized(picture, rows, columns), rows, columns};
    if (rows == 0 || columns == 0) {
        fail(Status::input, "a picture of ", width, " x ", height, " pixels cannot be cropped to a multiple of ", divisor,
             "; use pad or resize");
    }
    return {centre(picture, rows, columns), rows, columns};
}

Pictures covering(const Pictures& picture, std::int64_t height, std::int64_t width) {
    const auto over = [](std::int64_t a, std::int64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
    const double scale = std::max(over(height, picture.shape[1]), over(width, picture.shape[2]));
    // Cut first: a picture of 1 x 60,000,000 pixels, resized whole, would fill any memory.
    const auto cut = [scale](std::int64_t size, std::int64_t side) {
        const auto wanted = static_cast<std::int64_t>(std::nearbyint(static_cast<double>(size) / scale));
        return std::min(side, std::max<std::int64_t>(1, wanted));
    };
    return resized(centre(picture, cut(height, picture.shape[1]), cut(width, picture.shape[2])), height, width);
}

}  // namespace dcae::core
