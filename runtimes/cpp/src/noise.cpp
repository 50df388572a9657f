#include "noise.hpp"

#include <array>
#include <cmath>

namespace dcae::core {
namespace {

using Words = std::array<std::uint32_t, 4>;

// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
Words philox(std::uint64_t key, Words counter) {
    auto k0 = static_cast<std::uint32_t>(key);
    auto k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = std::uint64_t{counter[0]} * 0xD2511F53u;
        const std::uint64_t p1 = std::uint64_t{counter[2]} * 0xCD9E8D57u;
        counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(p1),
                   static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(p0)};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return counter;
}

// The order of the operations below decides the bits; no library's logarithm, sine or cosine is used.
template <std::size_t Count>
double horner(double q, const std::array<double, Count>& terms) {
    double value = terms[0];
    for (std::size_t i = 1; i < Count; ++i) {
        value = value * q;
        value = value + terms[i];
    }
    return value;
}

constexpr std::array<double, 12> kAtanhTerms = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                                1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3,  1.0};
constexpr std::array<double, 7> kSineTerms = {-1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0,
                                              1.0 / 362880.0,         -1.0 / 5040.0,      1.0 / 120.0,
                                              -1.0 / 6.0};
constexpr std::array<double, 8> kCosineTerms = {1.0 / 20922789888000.0, -1.0 / 87178291200.0, 1.0 / 479001600.0,
                                                -1.0 / 3628800.0,       1.0 / 40320.0,        -1.0 / 720.0,
                                                1.0 / 24.0,             -1.0 / 2.0};

double natural_log(double u) {
    int exponent = 0;
    // frexp gives [0.5, 1); the definition wants [1, 2). Both steps are exact.
    double m = 2.0 * std::frexp(u, &exponent);
    exponent -= 1;
    if (m > 1.4142135623730951) {
        m = m / 2.0;
        exponent += 1;
    }
    const double s = (m - 1.0) / (m + 1.0);
    const double p = horner(s * s, kAtanhTerms);
    return exponent * 0.6931471805599453 + (2.0 * s) * p;
}

struct Pair {
    float cosine;
    float sine;
};

Pair box_muller(std::uint32_t w0, std::uint32_t w1) {
    const double radius = std::sqrt(-2.0 * natural_log((w0 + 0.5) / 4294967296.0));
    const std::uint32_t octant = w1 >> 29;
    const double within = ((w1 & 0x1FFFFFFFu) + 0.5) / 536870912.0;
    const double x = ((octant & 1u) != 0 ? 1.0 - within : within) * 0.7853981633974483;
    const double q = x * x;
    const double sine = x + x * (q * horner(q, kSineTerms));
    const double cosine = 1.0 + q * horner(q, kCosineTerms);
    const bool swapped = octant == 1 || octant == 2 || octant == 5 || octant == 6;
    const double cosine_sign = octant >= 2 && octant <= 5 ? -1.0 : 1.0;
    const double sine_sign = octant >= 4 ? -1.0 : 1.0;
    return {static_cast<float>(radius * (cosine_sign * (swapped ? sine : cosine))),
            static_cast<float>(radius * (sine_sign * (swapped ? cosine : sine)))};
}

}  // namespace

void normals(std::uint64_t seed, std::uint64_t stream, std::size_t count, float* out) {
    const auto stream_low = static_cast<std::uint32_t>(stream);
    const auto stream_high = static_cast<std::uint32_t>(stream >> 32);
    for (std::size_t first = 0; first < count; first += 4) {
        const std::uint64_t block = first / 4;
        const Words words = philox(
            seed, {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), stream_low, stream_high});
        const Pair one = box_muller(words[0], words[1]);
        const Pair two = box_muller(words[2], words[3]);
        const std::array<float, 4> numbers = {one.cosine, one.sine, two.cosine, two.sine};
        for (std::size_t i = 0; i < 4 && first + i < count; ++i) out[first + i] = numbers[i];
    }
}

}  // namespace dcae::core
