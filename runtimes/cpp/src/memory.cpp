#include "memory.hpp"

#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "error.hpp"
#include "npy.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
// A tensor may stand in the plain and in the blocked layout at once; an attention matrix has the plain one only.
constexpr std::int64_t kLayouts = 2;
// Bytes of a float32 for each of a float16.
constexpr std::int64_t kWidened = 2;
constexpr int kMebibyte = 1 << 20;
constexpr int kGibibyte = 1 << 30;

std::int64_t axis_or_one(const Axes& axes, const char* name) {
    const auto found = axes.find(name);
    return found == axes.end() ? 1 : found->second;
}

std::int64_t memory_left() {
    std::ifstream file("/proc/meminfo");
    std::string key;
    std::int64_t kibibytes = 0;
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        if (fields >> key >> kibibytes && key == "MemAvailable:") return kibibytes * 1024;
    }
    // A system that does not say is taken at its word.
    return kMost;
}

}  // namespace

std::int64_t saturated_sum(std::int64_t a, std::int64_t b) { return a > kMost - b ? kMost : a + b; }

std::int64_t available_memory(Provider provider, std::optional<std::int64_t> limit) {
    return std::min(provider == Provider::cpu ? memory_left() : kMost, limit.value_or(kMost));
}

void require_memory(std::int64_t needed, const std::string& what, Provider provider, std::optional<std::int64_t> limit) {
    const auto available = available_memory(provider, limit);
    if (needed <= available) return;
    fail(Status::resource, what, " needs ", memory_text(needed), " of memory, ", there_text(available, limit), "; ",
         available == limit ? "raise it" : "close other programs", " or choose a smaller size");
}

std::string there_text(std::int64_t available, std::optional<std::int64_t> limit) {
    if (available == limit) return "the limit is " + memory_text(available);
    return memory_text(available) + " are there";
}

std::string memory_text(std::int64_t bytes) {
    const auto size = static_cast<double>(bytes);
    return bytes >= kGibibyte ? formatted("%.1f GiB", size / kGibibyte) : formatted("%.1f MiB", size / kMebibyte);
}

void return_free_memory() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

std::int64_t widening(const Graph& graph, Provider provider) {
    return graph.precision == "fp16" && provider == Provider::cpu ? kWidened : 1;
}

std::int64_t run_bytes(const Graph& graph, const Axes& axes, Provider provider) {
    const auto batch = axis_or_one(axes, "batch");
    const auto height = axis_or_one(axes, "height");
    const auto width = axis_or_one(axes, "width");
    std::int64_t arrays = 0;
    for (const auto* ports : {&graph.inputs, &graph.outputs}) {
        for (const auto& port : *ports) {
            const std::int64_t size = port.dtype == "float32" ? 4 : port.dtype == "int64" ? 8 : 1;
            arrays = saturated_sum(arrays, saturated_product(port.resolve(axes), size));
        }
    }
    const auto stated = saturated_product({widening(graph, provider)}, graph.activation_bytes);
    const auto activations = std::max(saturated_product({batch, height, width}, stated), arrays);
    // Attention matrices are not widened: softmax is float32 in every precision.
    return saturated_sum(saturated_product({kLayouts}, activations),
                         saturated_product({batch, height, width, height, width}, graph.attention_bytes));
}

}  // namespace dcae::core
