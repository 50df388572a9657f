// Labels by number or by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "manifest.hpp"

namespace dcae::core {

// A label as a user gives it: a number, a name, or none: the null label.
using Label = std::optional<std::string>;

// The numbers of labels; none where the model has no labels. A name is one of the bundle's class names, or one of the
// words that a name lists between commas; the case of ASCII letters does not matter.
std::optional<std::vector<std::int64_t>> label_numbers(const std::vector<Label>& labels,
                                                       const Conditioning& conditioning);

}  // namespace dcae::core
