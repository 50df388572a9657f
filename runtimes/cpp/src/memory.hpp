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

// An Error of the status `resource` where more bytes are needed than are there, or than the limit allows.
void require_memory(std::int64_t needed, const std::string& what, Provider provider,
                    std::optional<std::int64_t> limit = std::nullopt);

// 2^63 - 1 where it is more; of numbers from 0.
std::int64_t saturated_sum(std::int64_t a, std::int64_t b);

// What `available_memory` gave, in words that tell a limit from a machine's own bound.
std::string there_text(std::int64_t available, std::optional<std::int64_t> limit);

// Bytes of memory as a person reads them: in GiB, or in MiB below one.
std::string memory_text(std::int64_t bytes);

// Give freed heap back to the operating system, where the C library has a call for it.
void return_free_memory();

// How many times the bytes that a bundle states a graph takes at most where a provider runs it: ONNX Runtime computes
// float16 in float32 on the processor.
std::int64_t widening(const Graph& graph, Provider provider);

// The bytes of a run of a graph beside its weights; 2^63 - 1 where that is more.
std::int64_t run_bytes(const Graph& graph, const Axes& axes, Provider provider);

}  // namespace dcae::core
