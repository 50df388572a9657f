// A sampler's table and the loop over it: docs/bundle-format.md, "Sampling". The loop knows no solver.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "array.hpp"

namespace dcae::core {

struct Row {
    float t = 0;
    std::array<float, 2> m{};
    std::vector<float> x;
    // Without a value and without `base_is_x` the base stays.
    std::optional<std::vector<float>> base;
    bool base_is_x = false;
    std::optional<float> s;
    std::optional<std::array<float, 2>> v;
    std::optional<std::array<float, 2>> start;

    // How many entries of the history the row uses.
    std::size_t reach() const;
};

struct Table {
    float init = 0;
    std::vector<Row> rows;

    // Whether the rows use the variance that a network has learned.
    bool learned_variance() const;
    // The row at which image to image begins that leaves most nearly the share `strength` of all evaluations.
    std::size_t start_row(double strength) const;
};

// What a walk needs of the world around it.
struct Walk {
    // The output for a state, in row `index` of the table: the state's shape, twice the channels where the table
    // has a learned variance.
    std::function<Floats(const Floats& state, std::size_t index)> network;
    // Standard normals of the state's shape: stream 0 is what a run starts from, i + 1 what row i adds.
    std::function<Floats(std::uint64_t stream)> noise;
    // Called after each evaluation; throws to end the run.
    std::function<void()> on_step;
    // The data that a run from a row after the first starts with, as the diffusion sees it.
    const Floats* init_latent = nullptr;
    std::size_t first_row = 0;
};

// Walk a table: the latent, (N, channels, h, w), as the diffusion sees it.
Floats sample(const Table& table, const Walk& walk);

}  // namespace dcae::core
