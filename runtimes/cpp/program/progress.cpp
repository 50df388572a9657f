#include "progress.hpp"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <utility>

#include "error.hpp"
#include "output.hpp"

namespace dcae::program {
namespace {

using namespace std::chrono_literals;

constexpr auto kDelay = 1s;
constexpr auto kRedraw = 250ms;
// Where nobody watches: what is quick prints nothing, and a log of days stays readable.
constexpr auto kFirstLine = 20s;
constexpr auto kNextLine = 30s;

// 1:02:03, as Python writes a duration.
std::string duration_text(double seconds) {
    const auto whole = static_cast<long long>(std::nearbyint(seconds));
    const long long days = whole / 86400;
    char clock[16];
    std::snprintf(clock, sizeof clock, "%lld:%02lld:%02lld", whole / 3600 % 24, whole / 60 % 60, whole % 60);
    return days == 0 ? clock : core::text(days, days == 1 ? " day, " : " days, ", clock);
}

}  // namespace

Progress::Progress(std::string stage, std::optional<std::size_t> steps, Clock clock)
    : stage_(std::move(stage)), steps_(steps), clock_(std::move(clock)), entered_(clock_()) {
    thread_ = std::thread(&Progress::show, this, isatty(STDERR_FILENO) == 1);
}

Progress::~Progress() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        over_ = true;
    }
    over_changed_.notify_all();
    thread_.join();
}

void Progress::stage(std::string name) {
    const std::lock_guard<std::mutex> lock(mutex_);
    stage_ = std::move(name);
}

void Progress::advance() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++done_;
    if (!begun_) begun_ = clock_();
}

std::string Progress::line() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto so_far = duration_text(seconds_since(entered_)) + " so far";
    // What follows the last step, such as decoding, is not counted.
    if (!steps_ || done_ >= *steps_) return stage_ + ", " + so_far;
    std::string left;
    if (done_ > 1) {
        const double pace = seconds_since(*begun_) / static_cast<double>(done_ - 1);
        left = ", " + duration_text(pace * static_cast<double>(*steps_ - done_)) + " left";
    }
    return core::text(stage_, ": ", done_, " of ", *steps_, left, ", ", so_far);
}

void Progress::show(bool on_terminal) {
    const auto is_over_after = [this](std::chrono::milliseconds wait) {
        std::unique_lock<std::mutex> lock(mutex_);
        return over_changed_.wait_for(lock, wait, [this] { return over_; });
    };
    if (is_over_after(on_terminal ? kDelay : kFirstLine)) return;
    do {
        on_terminal ? redraw_line(line()) : print_note(line());
    } while (!is_over_after(on_terminal ? std::chrono::milliseconds(kRedraw) : kNextLine));
    if (on_terminal) redraw_line("");
}

double Progress::seconds_since(std::chrono::steady_clock::time_point moment) const {
    return std::chrono::duration<double>(clock_() - moment).count();
}

}  // namespace dcae::program
