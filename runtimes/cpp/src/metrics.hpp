// How close a reconstruction is to its picture.
#pragma once

#include <optional>

#include "array.hpp"

namespace dcae::core {

// Peak signal-to-noise ratio in decibels over all pixels and channels; infinity for equal pictures.
double psnr_db(const Pictures& a, const Pictures& b);

// Structural similarity (Wang et al. 2004), averaged over windows inside the picture and channels; none where a side
// is shorter than the window.
std::optional<double> ssim(const Pictures& a, const Pictures& b);

}  // namespace dcae::core
