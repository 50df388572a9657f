// The ports of every graph, held to what the three networks take and give.
#pragma once

#include "manifest.hpp"

namespace dcae::core {

void check_interface(const Manifest& manifest);

}  // namespace dcae::core
