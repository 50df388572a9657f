// dcae-run: run a bundle without Python.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "commands.hpp"
#include "error.hpp"
#include "output.hpp"
#include "version.hpp"

namespace {

using dcae::core::Cancellation;
using dcae::core::Error;
using dcae::core::Status;
using dcae::program::Command;

void print_help() {
    std::printf("Usage: dcae-run COMMAND [OPTIONS] ARGUMENTS\n\nRun a bundle: no Python, no PyTorch.\n\n");
    for (const auto& command : dcae::program::commands()) std::printf("  %-12s %s\n", command.name, command.summary);
    std::printf("\ndcae-run COMMAND --help lists a command's options.\n");
}

void print_help(const Command& command) {
    std::printf("Usage: dcae-run %s [OPTIONS]", command.name);
    for (const auto& name : command.positional) std::printf(" %s", name.c_str());
    std::printf("\n\n%s\n\n", command.summary);
    for (const auto& option : command.options) {
        const auto form = std::string(option.name) + (option.value == nullptr ? "" : std::string(" ") + option.value);
        std::printf("  %-24s %s\n", form.c_str(), option.help);
    }
}

const Command* find_command(const std::string& name) {
    for (const auto& command : dcae::program::commands()) {
        if (name == command.name) return &command;
    }
    return nullptr;
}

int run(const std::vector<std::string>& given, Cancellation& cancellation) {
    if (given.empty() || given[0] == "--help" || given[0] == "-h") {
        print_help();
        return 0;
    }
    if (given[0] == "--version") {
        std::printf("dcae-run %s\n", dcae::core::kVersion);
        return 0;
    }
    const Command* command = find_command(given[0]);
    if (command == nullptr) {
        dcae::core::fail(Status::usage, "No such command '", given[0], "'; see dcae-run --help");
    }
    const std::vector<std::string> rest(given.begin() + 1, given.end());
    for (const auto& one : rest) {
        if (one == "--help" || one == "-h") {
            print_help(*command);
            return 0;
        }
    }
    command->run(dcae::program::Arguments(command->name, rest, command->options, command->positional), cancellation);
    return 0;
}

int explain(const std::exception_ptr& thrown, bool interrupted) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Error& error) {
        if (interrupted && error.status() == Status::cancelled) {
            dcae::program::print_note("interrupted");
        } else {
            dcae::program::print_note(std::string("error: ") + error.what());
        }
        return static_cast<int>(error.status());
    } catch (const std::bad_alloc&) {
        dcae::program::print_note("error: the memory is full; close other programs or choose a smaller size");
        return static_cast<int>(Status::resource);
    } catch (const std::exception& error) {
        dcae::program::print_note(std::string("error: a fault of dcae-run: ") + error.what() +
                                  "; please report it on the project's issue tracker");
    }
    return static_cast<int>(Status::fault);
}

// Ctrl-C and SIGTERM end the command: a run between two operators of its graph. What looks at no cancellation, as the
// loading of a graph, is left behind after a while.
class Signals {
public:
    explicit Signals(Cancellation& cancellation) {
        sigemptyset(&set_);
        sigaddset(&set_, SIGINT);
        sigaddset(&set_, SIGTERM);
        // Threads that are made from here on inherit that they are not interrupted.
        pthread_sigmask(SIG_BLOCK, &set_, nullptr);
        std::thread([set = set_, &cancellation] {
            int number = 0;
            if (sigwait(&set, &number) != 0) return;
            cancellation.cancel();
            std::this_thread::sleep_for(std::chrono::seconds(2));
            dcae::program::print_note("interrupted");
            std::_Exit(static_cast<int>(Status::cancelled));
        }).detach();
    }

private:
    sigset_t set_{};
};

}  // namespace

int main(int argc, char** argv) {
    // Of the process's own life: the thread that waits for signals looks at it to the end.
    static Cancellation cancellation;
    const Signals signals(cancellation);
    int status = 0;
    try {
        status = run({argv + 1, argv + argc}, cancellation);
    } catch (...) {
        status = explain(std::current_exception(), cancellation.cancelled());
    }
    std::fflush(stdout);
    return status;
}
