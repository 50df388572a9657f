// Levels of 0 to 255 become the network's numbers, and those become levels again.
#pragma once

#include "array.hpp"

namespace dcae::core {

// (N, H, W, 3) becomes (N, 3, H, W): level / 127.5 - 1 in float32.
Floats to_tensor(const Pictures& pictures);

// (N, 3, H, W) becomes (N, H, W, 3): trunc(clamp(127.5 * value + 128, 0, 255)) in float32; the values are finite.
Pictures to_levels(const Floats& tensor);

// The picture `index` of several, alone.
Pictures one_of(const Pictures& pictures, std::size_t index);

// The top left corner, (N, height, width, 3).
Pictures cropped(const Pictures& pictures, std::int64_t height, std::int64_t width);

// One picture of several, as near a square as they make, on white.
Pictures tiled(const Pictures& pictures);

}  // namespace dcae::core
