// Read a picture and write it in another format: copy BUNDLE PICTURE OUT. The status is that of the library.
#include <dcae/dcae.hpp>

#include <cstdio>

int main(int argc, char** argv) {
    if (argc != 4) return DCAE_USAGE;
    try {
        dcae::Bundle bundle(argv[1]);
        bundle.write_picture(argv[3], bundle.read_picture(argv[2]));
    } catch (const dcae::Error& error) {
        std::fprintf(stderr, "copy: %s\n", error.what());
        return error.status();
    }
    return DCAE_OK;
}
