// What the values of a manifest have to say together.
#pragma once

#include "manifest.hpp"

namespace dcae::core {

void check_rules(const Manifest& manifest);

}  // namespace dcae::core
