#include "guidance.hpp"

#include <algorithm>

namespace dcae::core {
namespace {

// The first `rows` entries, and of each the first `channels` along the second axis.
Floats leading(const Floats& array, std::size_t rows, std::int64_t channels) {
    Floats result({static_cast<std::int64_t>(rows), channels, array.shape[2], array.shape[3]});
    const std::size_t size = result.row_size();
    for (std::size_t row = 0; row < rows; ++row) {
        std::copy_n(array.data.begin() + static_cast<std::ptrdiff_t>(row * array.row_size()), size,
                    result.data.begin() + static_cast<std::ptrdiff_t>(row * size));
    }
    return result;
}

}  // namespace

Floats GuidedNetwork::operator()(const Floats& state, float t, std::size_t index) const {
    const std::size_t images = state.rows();
    const std::int64_t channels = state.shape[1];
    if (!labels || !null_label) {
        const Floats output = evaluate(state, t, index, labels);
        return leading(output, images, with_variance ? output.shape[1] : channels);
    }
    Floats both = state;
    both.shape[0] *= 2;
    both.data.insert(both.data.end(), state.data.begin(), state.data.end());
    auto of = *labels;
    of.insert(of.end(), images, *null_label);
    const Floats output = evaluate(both, t, index, of);
    Floats guided = leading(output, images, with_variance ? output.shape[1] : channels);
    const std::size_t size = state.row_size();
    for (std::size_t image = 0; image < images; ++image) {
        for (std::size_t i = 0; i < size; ++i) {
            const float base = output.data[(images + image) * output.row_size() + i];
            float& value = guided.data[image * guided.row_size() + i];
            value = base + guidance * (value - base);
        }
    }
    return guided;
}

Floats GuidedNetwork::evaluate(const Floats& state, float t, std::size_t index,
                               const std::optional<std::vector<std::int64_t>>& of) const {
    // A graph of a fixed batch runs full: the last row stands in for those that are missing.
    const auto wanted = session.graph().fixed_rows();
    const std::size_t rows = wanted ? static_cast<std::size_t>(*wanted) : state.rows();
    const auto batch = static_cast<std::int64_t>(rows);
    Named inputs;
    inputs.emplace("latent", rows == state.rows() ? state : with_rows(state, rows));
    if (time_features == nullptr) {
        inputs.emplace("timestep", Floats({batch}, std::vector<float>(rows, t)));
    } else {
        const std::size_t width = time_features->row_size();
        Floats features({batch, static_cast<std::int64_t>(width)});
        for (std::size_t row = 0; row < rows; ++row) {
            std::copy_n(time_features->data.begin() + static_cast<std::ptrdiff_t>(index * width), width,
                        features.data.begin() + static_cast<std::ptrdiff_t>(row * width));
        }
        inputs.emplace("time_features", std::move(features));
    }
    if (of) {
        const Integers given({static_cast<std::int64_t>(of->size())}, *of);
        inputs.emplace("label", of->size() == rows ? given : with_rows(given, rows));
    }
    return std::get<Floats>(session.run(inputs, cancellation).at("output"));
}

}  // namespace dcae::core
