// Normal numbers that are the same bits in every language: docs/bundle-format.md, "How noise is drawn".
#pragma once

#include <cstddef>
#include <cstdint>

namespace dcae::core {

// Write the first `count` standard normals of one stream of a seed; fewer are a prefix of more.
void normals(std::uint64_t seed, std::uint64_t stream, std::size_t count, float* out);

}  // namespace dcae::core
