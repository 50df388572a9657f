// Know before the work whether the memory is there, and give back what nobody holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "manifest.hpp"

namespace dcae::core {

// The bytes that this machine has left, or the limit where that is less.
std::int64_t available_memory(std::optional<std::int64_t> limit = std::nullopt);

// An Error of the status `resource` where `needed` bytes are not available, or more than the limit.
void require_memory(std::int64_t needed, const std::string& what, std::optional<std::int64_t> limit = std::nullopt);

// Bytes as messages have them: 1.5
std::string gibibytes(std::int64_t bytes);

// Give freed heap back to the operating system, where the C library has a call for it.
void return_free_memory();

// The bytes of a run of a graph beside its weights; 2^63 - 1 where that is more.
std::int64_t run_bytes(const Graph& graph, const Axes& axes);

}  // namespace dcae::core
