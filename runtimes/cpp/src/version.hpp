// The version of the library; CMakeLists.txt has the same.
#pragma once

namespace dcae::core {

constexpr const char* kVersion = "0.1.0";

}  // namespace dcae::core
