// Generate the same picture twice on a handle that keeps its sessions: kept BUNDLE BYTES, which a run may take.
#include <dcae/dcae.hpp>

#include <algorithm>
#include <cstdio>
#include <string>

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    dcae::OpenOptions options;
    options.threads = 1;
    options.keep_sessions = true;
    options.memory_limit = std::stoll(argv[2]);
    dcae::Request request;
    request.labels = {"1"};
    request.sampler = "ddim:3";
    request.height = request.width = 96;
    try {
        dcae::Bundle bundle(argv[1], options);
        const dcae::Images first = bundle.generate(request);
        const dcae::Images second = bundle.generate(request);
        const bool equal = std::equal(first.data(), first.data() + first.size(), second.data());
        std::puts(equal ? "twice the same" : "two pictures");
    } catch (const dcae::Error& error) {
        std::printf("%d %s\n", static_cast<int>(error.status()), error.what());
    }
    return 0;
}
