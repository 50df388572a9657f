// Give pictures sides that are multiples of a divisor, or a size.
#pragma once

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

// Cut the centre out of a picture and resize it, so that it has exactly this size.
Pictures covering(const Pictures& picture, std::int64_t height, std::int64_t width);

}  // namespace dcae::core
