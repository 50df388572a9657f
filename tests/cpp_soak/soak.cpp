// What a host program does to the library for hours: soak MODE BUNDLE COUNT. It ends with 0, or says what was wrong.
#include <dcae/dcae.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

const char* const kLabels[] = {"1", "2", "3"};

void require(bool condition, const char* what, const dcae_bundle* bundle) {
    if (condition) return;
    std::fprintf(stderr, "soak: %s: %s\n", what, bundle == nullptr ? "" : dcae_last_error(bundle));
    std::exit(1);
}

dcae_bundle* opened(const char* path, bool keep_sessions) {
    dcae_open_options options = DCAE_OPEN_OPTIONS_INIT;
    options.threads = 2;
    options.keep_sessions = keep_sessions ? 1 : 0;
    dcae_bundle* bundle = nullptr;
    require(dcae_open(path, &options, &bundle) == DCAE_OK, "open", bundle);
    return bundle;
}

dcae_status generate(dcae_bundle* bundle, dcae_images* pictures) {
    dcae_request request = DCAE_REQUEST_INIT;
    request.labels = kLabels;
    request.label_count = 3;
    request.sampler = "forms:6";
    return dcae_generate(bundle, &request, pictures);
}

bool equal(const dcae_images& a, const dcae_images& b) {
    return a.count == b.count && a.height == b.height && a.width == b.width &&
           std::memcmp(a.data, b.data, 3 * a.count * a.height * a.width) == 0;
}

// Open, generate, close; every picture is that of the first time.
void cycles(const char* path, int count) {
    dcae_images first{};
    for (int i = 0; i < count; ++i) {
        dcae_bundle* bundle = opened(path, i % 2 == 0);
        dcae_images pictures{};
        require(generate(bundle, &pictures) == DCAE_OK, "generate", bundle);
        if (i == 0) {
            first = pictures;
        } else {
            require(equal(first, pictures), "another picture", nullptr);
            dcae_images_free(&pictures);
        }
        dcae_close(bundle);
    }
    dcae_images_free(&first);
}

// How long a call takes, in microseconds.
long duration(dcae_bundle* bundle) {
    dcae_images pictures{};
    const auto began = Clock::now();
    require(generate(bundle, &pictures) == DCAE_OK, "generate", bundle);
    dcae_images_free(&pictures);
    return static_cast<long>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count());
}

// Cancel at random moments: a call ends whole or cancelled, and the next one runs as ever.
void cancels(const char* path, int count) {
    dcae_bundle* bundle = opened(path, true);
    duration(bundle);
    std::mt19937 random(0);
    std::uniform_int_distribution<long> moment(0, duration(bundle));
    int cancelled = 0;
    for (int i = 0; i < count; ++i) {
        std::thread other([bundle, wait = std::chrono::microseconds(moment(random))] {
            std::this_thread::sleep_for(wait);
            dcae_cancel(bundle);
        });
        dcae_images pictures{};
        const dcae_status status = generate(bundle, &pictures);
        require(status == DCAE_OK || status == DCAE_CANCELLED, "cancelled", bundle);
        require((pictures.data == nullptr) == (status == DCAE_CANCELLED), "half a result", nullptr);
        cancelled += status == DCAE_CANCELLED ? 1 : 0;
        dcae_images_free(&pictures);
        other.join();
    }
    require(duration(bundle) > 0, "after all", bundle);
    dcae_close(bundle);
    std::printf("%d of %d were cancelled\n", cancelled, count);
}

// Close a handle while another thread runs it.
void destroys(const char* path, int count) {
    dcae_bundle* timed = opened(path, true);
    duration(timed);
    std::mt19937 random(1);
    std::uniform_int_distribution<long> moment(0, duration(timed));
    dcae_close(timed);
    for (int i = 0; i < count; ++i) {
        dcae_bundle* bundle = opened(path, false);
        std::atomic<bool> begun{false};
        dcae_status status = DCAE_OK;
        dcae_request request = DCAE_REQUEST_INIT;
        request.labels = kLabels;
        request.label_count = 3;
        request.sampler = "forms:6";
        request.user = &begun;
        // No call may begin once the handle is closed: the first evaluation shows that this one has.
        request.progress = [](void* user, std::size_t, std::size_t) -> int {
            *static_cast<std::atomic<bool>*>(user) = true;
            return 0;
        };
        dcae_images pictures{};
        std::thread other([&] { status = dcae_generate(bundle, &request, &pictures); });
        while (!begun) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::microseconds(moment(random) / 2));
        dcae_close(bundle);
        other.join();
        require(status == DCAE_OK || status == DCAE_CANCELLED, "destroyed", nullptr);
        dcae_images_free(&pictures);
    }
}

// Threads that share a handle fail and succeed at the same time: each is told of its own calls.
void errors(const char* path, int count) {
    dcae_bundle* bundle = opened(path, false);
    const auto work = [bundle, count](const char* missing) {
        for (int i = 0; i < count; ++i) {
            dcae_images picture{};
            require(dcae_read_picture(bundle, missing, &picture) == DCAE_INPUT, "no picture", bundle);
            const char* error = dcae_last_error(bundle);
            // What the other thread does meanwhile may not touch what this one was given.
            std::this_thread::yield();
            require(std::strncmp(error, missing, std::strlen(missing)) == 0, "another's error", bundle);
            if (i % 3 != 0) continue;
            std::size_t height = 0;
            std::size_t width = 0;
            require(dcae_default_size(bundle, &height, &width) == DCAE_OK, "size", bundle);
            require(std::strcmp(dcae_last_error(bundle), "") == 0, "an error of the past", bundle);
        }
    };
    std::thread other(work, "/no/such/folder/of-the-other-thread.png");
    work("/no/such/folder/of-this-thread-whose-name-is-longer.png");
    other.join();
    dcae_close(bundle);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    const std::string mode = argv[1];
    const int count = std::atoi(argv[3]);
    if (mode == "cycles") cycles(argv[2], count);
    if (mode == "cancels") cancels(argv[2], count);
    if (mode == "destroys") destroys(argv[2], count);
    if (mode == "errors") errors(argv[2], count);
    std::puts("done");
    return 0;
}
