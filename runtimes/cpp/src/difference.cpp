#include "difference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr Tolerance kFloats = {
    1e-5, 1e-3, "float32 in another summation order: about 1e-6 through sixty convolutions", std::nullopt, std::nullopt};
constexpr Tolerance kLevels = {
    1e-3, 1.5 / 255, "float32 differences turn the rounding of few pixels by one level", std::nullopt, std::nullopt};
// Where a difference begins to be seen.
constexpr Tolerance kMixedPictures = {
    5e-2, 0.25, "float16 between float32 islands: 40 dB to float32 is what nobody sees in a picture", 40.0, std::nullopt};
constexpr Tolerance kMixedLatents = {
    4.5e-2, 0.25, "float16 between float32 islands: a latent's own noise is larger", std::nullopt, 0.999};

double norm_of(const std::vector<double>& values) {
    double squares = 0;
    for (const double value : values) squares += value * value;
    return std::sqrt(squares);
}

double cosine_of(const std::vector<double>& a, const std::vector<double>& b) {
    const double of_a = norm_of(a);
    const double of_b = norm_of(b);
    if (!(of_a > 0 && std::isfinite(of_a) && of_b > 0 && std::isfinite(of_b))) return 0;
    double sum = 0;
    // Divided first: the product of the norms may overflow.
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] / of_a) * (b[i] / of_b);
    return sum;
}

std::vector<double> doubles(const AnyArray& array) {
    return std::visit(
        [](const auto& values) {
            std::vector<double> result(values.data.size());
            std::transform(values.data.begin(), values.data.end(), result.begin(),
                           [](auto value) { return static_cast<double>(value); });
            return result;
        },
        array);
}

Shape index_of(std::size_t flat, const Shape& shape) {
    Shape index(shape.size());
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        const auto size = static_cast<std::size_t>(shape[axis]);
        index[axis] = static_cast<std::int64_t>(flat % size);
        flat /= size;
    }
    return index;
}

}  // namespace

bool Difference::within(const Tolerance& tolerance) const {
    // Arrays that have no PSNR are equal, or the first bounds do not hold.
    return relative_l2 <= tolerance.relative_l2 && max_abs <= tolerance.max_abs * reference_range &&
           (!psnr_db || !tolerance.psnr_db || *psnr_db >= *tolerance.psnr_db) &&
           (!tolerance.cosine || cosine >= *tolerance.cosine);
}

std::string Difference::as_text() const {
    const auto psnr = psnr_db ? ", PSNR " + formatted("%.1f", *psnr_db) + " dB" : std::string();
    return text("relative L2 ", formatted("%.1e", relative_l2), psnr, ", cosine ", formatted("%.5f", cosine), ", max abs ",
                formatted("%.1e", max_abs), " at ", shape_text(worst), " (", formatted("%.6g", actual_at_worst), " for ",
                formatted("%.6g", expected_at_worst), ")");
}

Difference difference(const AnyArray& actual, const AnyArray& expected) {
    const auto a = doubles(actual);
    const auto r = doubles(expected);
    if (a.size() != r.size() || a.empty()) fail(Status::fault, "arrays of two shapes are compared");
    Difference result;
    double squares = 0;
    double norm = 0;
    std::size_t worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double error = std::fabs(a[i] - r[i]);
        if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
        if (error > result.max_abs) {
            result.max_abs = error;
            worst = i;
        }
        squares += error * error;
        norm += r[i] * r[i];
    }
    const auto [low, high] = std::minmax_element(r.begin(), r.end());
    const bool levels = std::holds_alternative<Pictures>(expected);
    result.reference_range = levels ? 255 : *high - *low;
    const double none = squares == 0 ? 0 : std::numeric_limits<double>::infinity();
    result.relative_l2 = norm > 0 ? std::sqrt(squares) / std::sqrt(norm) : none;
    const double rms = std::sqrt(squares / static_cast<double>(a.size()));
    if (rms > 0 && std::isfinite(rms) && result.reference_range > 0) {
        result.psnr_db = 20 * std::log10(result.reference_range / rms);
    }
    result.cosine = cosine_of(a, r);
    result.worst = index_of(worst, shape_of(expected));
    result.actual_at_worst = a[worst];
    result.expected_at_worst = r[worst];
    return result;
}

Tolerance tolerance_of(const std::string& output, const AnyArray& reference, const std::string& precision) {
    if (precision == "fp16") return output == "image" ? kMixedPictures : kMixedLatents;
    return std::holds_alternative<Pictures>(reference) ? kLevels : kFloats;
}

std::string tolerance_text(const Tolerance& tolerance) {
    auto line = "relative L2 " + formatted("%.2g", tolerance.relative_l2) + " and max abs " +
                formatted("%.2g", tolerance.max_abs) + " of the range";
    if (tolerance.psnr_db) line += ", PSNR at least " + formatted("%g", *tolerance.psnr_db) + " dB";
    if (tolerance.cosine) line += ", cosine at least " + formatted("%g", *tolerance.cosine);
    return line;
}

}  // namespace dcae::core
