// What each entry of the library says to a bundle that may lack its graph: entries BUNDLE PICTURE, a line for each.
#include <dcae/dcae.hpp>

#include <cstdio>
#include <cstdlib>

namespace {

// Of the conformance suite's pictures, which have 12 x 8 pixels.
constexpr std::size_t kChannels = 4;
constexpr std::size_t kRows = 4;
constexpr std::size_t kColumns = 6;

template <typename Work>
void entry(const char* name, const Work& work) {
    try {
        work();
        std::printf("%s: 0\n", name);
    } catch (const dcae::Error& error) {
        std::printf("%s: %d %s\n", name, static_cast<int>(error.status()), error.what());
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    dcae::Bundle bundle(argv[1]);
    const dcae::Images picture = bundle.read_picture(argv[2]);
    dcae::Latents latents;
    auto* zeros = static_cast<float*>(std::calloc(kChannels * kRows * kColumns, sizeof(float)));
    *latents.raw() = {1, kChannels, kRows, kColumns, zeros};
    dcae::Request request;
    request.labels = {std::nullopt};
    entry("default_size", [&] {
        std::size_t height = 0;
        std::size_t width = 0;
        const dcae_status status = dcae_default_size(bundle.raw(), &height, &width);
        if (status != DCAE_OK) throw dcae::Error(status, dcae_last_error(bundle.raw()));
    });
    entry("evaluations", [&] { bundle.evaluations(request); });
    entry("generate", [&] { bundle.generate(request); });
    entry("sample", [&] { bundle.sample(request); });
    entry("decode_sampled", [&] { bundle.decode_sampled(latents); });
    entry("encode", [&] { bundle.encode(picture); });
    entry("decode", [&] { bundle.decode(latents); });
    entry("reconstruct", [&] { bundle.reconstruct(picture); });
    entry("parity", [&] { bundle.parity(); });
    entry("verify", [&] { bundle.verify(); });
    entry("release", [&] { bundle.release(); });
    return 0;
}
