// How far a command is: a line on the terminal after a second, a printed line now and then elsewhere.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace dcae::program {

// Shown on stderr for as long as it lives; nothing of it stays on a terminal.
class Progress {
public:
    using Clock = std::function<std::chrono::steady_clock::time_point()>;

    // Of so many steps, where their number is known.
    explicit Progress(std::string stage, std::optional<std::size_t> steps = std::nullopt,
                      Clock clock = std::chrono::steady_clock::now);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // Say what is being done from now on.
    void stage(std::string name);
    // Count a step as done.
    void advance();
    // Where the command is, as one line.
    std::string line() const;

private:
    void show(bool on_terminal);
    double seconds_since(std::chrono::steady_clock::time_point moment) const;

    mutable std::mutex mutex_;
    std::condition_variable over_changed_;
    bool over_ = false;
    std::string stage_;
    std::optional<std::size_t> steps_;
    std::size_t done_ = 0;
    Clock clock_;
    std::chrono::steady_clock::time_point entered_;
    // When the first step was done, which may have loaded the graph: the pace is that of those after it.
    std::optional<std::chrono::steady_clock::time_point> begun_;
    std::thread thread_;
};

}  // namespace dcae::program
