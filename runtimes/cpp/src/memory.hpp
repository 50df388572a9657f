// Know before the work whether the memory is there, and give back what nobody holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "manifest.hpp"
#include "onnxruntime.hpp"

namespace dcae::core {

// The bytes that a run may take: what this machine has left, or the limit where that is less. Of a GPU nothing but the
// limit is known.
std::int64_t available_memory(Provider provider, std::optional<std::int64_t> limit = std::nullopt);

// An Error of the status `resource` where more than the `available` bytes are needed.
void require_memory(std::int64_t needed, const std::string& what, std::int64_t available);

// Bytes as messages have them: 1.5
std::string gibibytes(std::int64_t bytes);

// Give freed heap back to the operating system, where the C library has a call for it.
void return_free_memory();

// How many times the bytes that a bundle states a graph takes at most where a provider runs it: ONNX Runtime computes
// float16 in float32 on the processor.
std::int64_t widening(const Graph& graph, Provider provider);

// The bytes of a run of a graph beside its weights; 2^63 - 1 where that is more.
std::int64_t run_bytes(const Graph& graph, const Axes& axes, Provider provider);

}  // namespace dcae::core
