// Resizes the pixels on stdin, HEIGHT WIDTH, and writes them to stdout: to the nearest multiples of a DIVISOR, or so
// that they cover a HEIGHT and WIDTH.
#include <cstdio>
#include <cstdlib>

#include "fit.hpp"

int main(int argc, char** argv) {
    if (argc != 4 && argc != 5) return 2;
    dcae::core::Pictures picture({1, std::atoll(argv[1]), std::atoll(argv[2]), 3});
    if (std::fread(picture.data.data(), 1, picture.data.size(), stdin) != picture.data.size()) return 3;
    const auto resized = argc == 4 ? dcae::core::fitted(picture, std::atoll(argv[3]), dcae::core::Fit::resize).picture
                                   : dcae::core::covering(picture, std::atoll(argv[3]), std::atoll(argv[4]));
    return std::fwrite(resized.data.data(), 1, resized.data.size(), stdout) == resized.data.size() ? 0 : 1;
}
