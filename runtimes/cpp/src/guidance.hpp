// The transformer under classifier-free guidance: one call for both halves.
#pragma once

#include <optional>
#include <vector>

#include "array.hpp"
#include "cancel.hpp"
#include "session.hpp"

namespace dcae::core {

// A transformer's output at a state and time, for fixed labels.
struct GuidedNetwork {
    const Session& session;
    Cancellation& cancellation;
    // None for an unconditional network.
    std::optional<std::vector<std::int64_t>> labels{};
    // None where only the labels' half is run: at guidance 1 both halves cancel.
    std::optional<std::int64_t> null_label{};
    float guidance = 1;
    // Keep the channels of a learned variance, which come from the labels' half.
    bool with_variance = false;
    // A row of features for each row of the table, where the graph takes those.
    const Floats* time_features = nullptr;

    // The output for a state, (N, channels, h, w), in row `index` of the table; twice the channels with a variance.
    Floats operator()(const Floats& state, float t, std::size_t index) const;

private:
    Floats evaluate(const Floats& state, float t, std::size_t index,
                    const std::optional<std::vector<std::int64_t>>& of) const;
};

}  // namespace dcae::core
