// Hold ONNX Runtime to a bundle's golden arrays.
#pragma once

#include <string>
#include <vector>

#include "difference.hpp"
#include "pipeline.hpp"

namespace dcae::core {

struct Measurement {
    std::string graph;
    std::string runtime;
    Difference difference;
    Tolerance tolerance;

    bool passed() const { return difference.within(tolerance); }
};

// Run every golden case.
std::vector<Measurement> measure_parity(Pipeline& pipeline, Cancellation& cancellation);

}  // namespace dcae::core
