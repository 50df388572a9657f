#include "sampler.hpp"

#include <algorithm>
#include <cmath>
#include <deque>

#include "error.hpp"

// All arithmetic is float32 in the order written, every operation rounded; the build forbids contraction.
namespace dcae::core {
namespace {

using Numbers = std::vector<float>;

Numbers combined(const std::vector<float>& coefficients, const Numbers& base, const std::deque<Numbers>& history) {
    Numbers total(base.size());
    for (std::size_t i = 0; i < base.size(); ++i) total[i] = coefficients[0] * base[i];
    for (std::size_t back = 0; back + 1 < coefficients.size(); ++back) {
        const float coefficient = coefficients[back + 1];
        // In a run from a later row the oldest entry stands for those that are missing.
        const Numbers& entry = history[std::min(back, history.size() - 1)];
        for (std::size_t i = 0; i < base.size(); ++i) total[i] += coefficient * entry[i];
    }
    return total;
}

Numbers first_state(const Table& table, const Walk& walk, const Floats& z) {
    Numbers state(z.data.size());
    if (walk.first_row == 0) {
        for (std::size_t i = 0; i < state.size(); ++i) state[i] = table.init * z.data[i];
        return state;
    }
    const auto& start = table.rows.at(walk.first_row).start;
    if (!start || walk.init_latent == nullptr || walk.init_latent->data.size() != state.size()) {
        fail(Status::fault, "no run may begin at row ", walk.first_row);
    }
    const auto [signal, share] = *start;
    for (std::size_t i = 0; i < state.size(); ++i) {
        state[i] = signal * walk.init_latent->data[i] + share * z.data[i];
    }
    return state;
}

float deviation(const std::array<float, 2>& bounds, float variance) {
    const float fraction = (variance + 1.0f) / 2.0f;
    const float half_log = 0.5f * (bounds[0] + fraction * (bounds[1] - bounds[0]));
    // float64, rounded once: libraries differ in float32.
    return static_cast<float>(std::exp(static_cast<double>(half_log)));
}

}  // namespace

std::size_t Row::reach() const { return std::max(x.size(), base ? base->size() : std::size_t{1}) - 1; }

bool Table::learned_variance() const {
    return std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.v.has_value(); });
}

std::size_t Table::start_row(double strength) const {
    if (!(strength > 0 && strength <= 1)) fail(Status::usage, "strength is above 0 and at most 1, got ", strength);
    const auto count = static_cast<double>(rows.size());
    std::size_t best = 0;
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const auto distance = [count, strength](std::size_t row) {
            return std::fabs(count - static_cast<double>(row) - strength * count);
        };
        if (rows[i].start && distance(i) < distance(best)) best = i;
    }
    return best;
}

Floats sample(const Table& table, const Walk& walk) {
    const Floats z = walk.noise(0);
    Floats state(z.shape, first_state(table, walk, z));
    Numbers base = state.data;
    std::deque<Numbers> history;
    std::size_t longest = 0;
    for (const auto& row : table.rows) longest = std::max(longest, row.reach());
    const bool with_variance = table.learned_variance();
    const std::size_t images = state.rows();
    const std::size_t size = state.row_size();
    const std::size_t output_size = with_variance ? 2 * size : size;

    for (std::size_t index = walk.first_row; index < table.rows.size(); ++index) {
        const Row& row = table.rows[index];
        const Floats output = walk.network(state, index);
        if (output.data.size() != images * output_size) fail(Status::fault, "the network's output has another shape");
        Numbers converted(state.data.size());
        for (std::size_t image = 0; image < images; ++image) {
            for (std::size_t i = 0; i < size; ++i) {
                converted[image * size + i] =
                    row.m[0] * state.data[image * size + i] + row.m[1] * output.data[image * output_size + i];
            }
        }
        history.push_front(std::move(converted));
        if (history.size() > longest) history.pop_back();

        Numbers following = combined(row.x, base, history);
        if (row.s) {
            const Floats noise = walk.noise(index + 1);
            for (std::size_t i = 0; i < following.size(); ++i) following[i] += *row.s * noise.data[i];
        } else if (row.v) {
            const Floats noise = walk.noise(index + 1);
            for (std::size_t image = 0; image < images; ++image) {
                for (std::size_t i = 0; i < size; ++i) {
                    const float variance = output.data[image * output_size + size + i];
                    following[image * size + i] += deviation(*row.v, variance) * noise.data[image * size + i];
                }
            }
        }
        if (row.base_is_x) {
            base = following;
        } else if (row.base) {
            base = combined(*row.base, base, history);
        }
        state.data = std::move(following);
        if (!std::all_of(state.data.begin(), state.data.end(), [](float value) { return std::isfinite(value); })) {
            fail(Status::parity, "row ", index, " of the sampler gives no finite latent; nothing was written");
        }
        walk.on_step();
    }
    return state;
}

}  // namespace dcae::core
