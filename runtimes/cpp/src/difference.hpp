// How far one array is from its reference, and how far it may be: the only place that holds tolerances.
#pragma once

#include <optional>
#include <string>

#include "array.hpp"

namespace dcae::core {

// What two computations of one function may differ by: the relative L2 norm over all elements, and the worst element
// as a share of the reference's range. PSNR and cosine are what is reached at least, none where nothing is asked of them.
struct Tolerance {
    double relative_l2;
    double max_abs;
    const char* because;
    std::optional<double> psnr_db;
    std::optional<double> cosine;
};

// How far an array is from its reference, and where it is worst.
struct Difference {
    double max_abs = 0;
    double relative_l2 = 0;
    double reference_range = 0;
    std::optional<double> psnr_db;
    // That of the angle between the two as vectors, 0 where either is zero or not finite.
    double cosine = 0;
    Shape worst;
    double actual_at_worst = 0;
    double expected_at_worst = 0;

    bool within(const Tolerance& tolerance) const;
    std::string as_text() const;
};

Difference difference(const AnyArray& actual, const AnyArray& expected);

// The tolerance for a graph's output of a precision, fp32 or fp16.
Tolerance tolerance_of(const std::string& output, const AnyArray& reference, const std::string& precision);

// As messages have it.
std::string tolerance_text(const Tolerance& tolerance);

}  // namespace dcae::core
