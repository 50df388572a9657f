#include "metrics.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace dcae::core {
namespace {

// Section III-C: an 11 x 11 Gaussian window and these two stabilisers.
constexpr std::size_t kWindow = 11;
constexpr double kSigma = 1.5;
constexpr double kC1 = (0.01 * 255) * (0.01 * 255);
constexpr double kC2 = (0.03 * 255) * (0.03 * 255);

std::array<double, kWindow> window() {
    std::array<double, kWindow> weights{};
    double sum = 0;
    for (std::size_t i = 0; i < kWindow; ++i) {
        const double x = static_cast<double>(i) - static_cast<double>(kWindow / 2);
        weights[i] = std::exp(-x * x / (2 * kSigma * kSigma));
        sum += weights[i];
    }
    for (auto& weight : weights) weight /= sum;
    return weights;
}

// Of one position: the means of a, b, a^2 + b^2 and a b along a row.
using Means = std::array<double, 4>;

}  // namespace

double psnr_db(const Pictures& a, const Pictures& b) {
    double squared = 0;
    for (std::size_t i = 0; i < a.data.size(); ++i) {
        const double error = static_cast<double>(a.data[i]) - static_cast<double>(b.data[i]);
        squared += error * error;
    }
    if (squared == 0) return std::numeric_limits<double>::infinity();
    return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.data.size()) / squared);
}

std::optional<double> ssim(const Pictures& a, const Pictures& b) {
    const auto height = static_cast<std::size_t>(a.shape[1]);
    const auto row_size = static_cast<std::size_t>(a.shape[2]) * 3;
    if (height < kWindow || row_size < 3 * kWindow) return std::nullopt;
    const auto weights = window();
    const std::size_t positions = row_size - 3 * (kWindow - 1);
    // The means along the last rows; row r stands at r modulo the window.
    std::vector<std::vector<Means>> rows(kWindow, std::vector<Means>(positions));
    double total = 0;
    for (std::size_t row = 0; row < height; ++row) {
        auto& along = rows[row % kWindow];
        for (std::size_t at = 0; at < positions; ++at) {
            Means means{};
            for (std::size_t k = 0; k < kWindow; ++k) {
                const double x = a.data[row * row_size + at + 3 * k];
                const double y = b.data[row * row_size + at + 3 * k];
                const Means values = {x, y, x * x + y * y, x * y};
                for (std::size_t i = 0; i < means.size(); ++i) means[i] += weights[k] * values[i];
            }
            along[at] = means;
        }
        if (row + 1 < kWindow) continue;
        for (std::size_t at = 0; at < positions; ++at) {
            Means means{};
            for (std::size_t k = 0; k < kWindow; ++k) {
                const auto& values = rows[(row + 1 + k) % kWindow][at];
                for (std::size_t i = 0; i < means.size(); ++i) means[i] += weights[k] * values[i];
            }
            const auto [mean_a, mean_b, squares, products] = means;
            const double product = mean_a * mean_b;
            const double mean_squares = mean_a * mean_a + mean_b * mean_b;
            total += (2 * product + kC1) * (2 * (products - product) + kC2) /
                     ((mean_squares + kC1) * (squares - mean_squares + kC2));
        }
    }
    return total / static_cast<double>((height - kWindow + 1) * positions);
}

}  // namespace dcae::core
