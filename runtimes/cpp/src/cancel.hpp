// Ends a call from another thread.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>

#include "error.hpp"

namespace dcae::core {

// What a call in progress is asked to stop through. A call holds one for its time.
class Cancellation {
public:
    // From any thread, any number of times.
    void cancel() {
        const std::lock_guard<std::mutex> lock(mutex_);
        cancelled_ = true;
        if (interrupt_) interrupt_();
    }

    void check() const {
        if (cancelled_) fail(Status::cancelled, "stopped as it was asked to");
    }

    bool cancelled() const { return cancelled_; }

    // While it is there, `cancel` calls `interrupt`, at once where it was called before.
    class Interruptible {
    public:
        Interruptible(Cancellation& of, std::function<void()> interrupt) : of_(of) {
            const std::lock_guard<std::mutex> lock(of_.mutex_);
            of_.interrupt_ = std::move(interrupt);
            if (of_.cancelled_) of_.interrupt_();
        }
        ~Interruptible() {
            const std::lock_guard<std::mutex> lock(of_.mutex_);
            of_.interrupt_ = nullptr;
        }
        Interruptible(const Interruptible&) = delete;
        Interruptible& operator=(const Interruptible&) = delete;

    private:
        Cancellation& of_;
    };

private:
    std::mutex mutex_;
    std::atomic<bool> cancelled_{false};
    std::function<void()> interrupt_;
};

}  // namespace dcae::core
