// Give pictures sides that are multiples of a divisor, or a size.
#pragma once

#include <utility>

#include "array.hpp"

namespace dcae::core {

enum class Fit { pad, crop, resize };

struct Fitted {
    Pictures picture;
    // The size to which the top left corner is to be cropped after the model.
    std::int64_t height = 0;
    std::int64_t width = 0;
};

// Repeat the bottom and right edges up to the next multiple, cut the centre out, or resize to the nearest multiple.
Fitted fitted(const Pictures& picture, std::int64_t divisor, Fit mode);

// The height and width that `fitted` gives a picture of a size; 0 for a side with nothing left to crop to.
std::pair<std::int64_t, std::int64_t> fitted_size(std::int64_t height, std::int64_t width, std::int64_t divisor, Fit mode);

// Cut the centre out of a picture and resize it, so that it has exactly this size.
Pictures covering(const Pictures& picture, std::int64_t height, std::int64_t width);

}  // namespace dcae::core
