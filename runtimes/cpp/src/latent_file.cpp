#include "latent_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>

#include "error.hpp"
#include "files.hpp"
#include "npy.hpp"
#include "strings.hpp"
#include "whole_file.hpp"

namespace dcae::core {
namespace {

constexpr std::int64_t kMaxNoiseBytes = 1 << 30;
constexpr const char* kSaveAgain = "save it with numpy.save(path, numpy.ascontiguousarray(latent, 'float32'))";

void check_suffix(const std::string& path) {
    if (path.size() < 5 || folded(path.substr(path.size() - 4)) != ".npy") {
        fail(Status::usage, path, ": a latent is a .npy file; give --out that suffix");
    }
}

Floats read_array(const std::string& path, const std::function<void(const Shape&)>& check) {
    const auto refuse = [&path](int number) {
        fail(Status::input, path, ": cannot be read: ", reason_of(number), "; check the path");
    };
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) refuse(errno);
    // A pipe or device would block or never end, so this is asked before opening.
    if (!S_ISREG(status.st_mode)) fail(Status::input, path, ": not a regular file; give the path of a latent");
    const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (file.number() < 0) refuse(errno);
    const Bytes head = file.read_up_to(kMaxArrayHeader, path);
    const auto header = parse_array_header(head.data(), head.size());
    if (!header) fail(Status::input, path, ": not an array of numbers in NumPy's format; ", kSaveAgain);
    if (header->dtype != "<f4") fail(Status::input, path, ": holds ", header->dtype, " and not float32; ", kSaveAgain);
    if (header->is_fortran) fail(Status::input, path, ": its axes are stored in reverse; ", kSaveAgain);
    check(header->shape);
    const auto size = saturated_product(header->shape, 4);
    const auto start = static_cast<std::int64_t>(header->start);
    if (status.st_size - start != size) {
        fail(Status::input, path, ": ", status.st_size - start, " bytes of data, ", size,
             " expected; the file is damaged, make it again");
    }
    if (lseek(file.number(), start, SEEK_SET) < 0) refuse(errno);
    Floats latent(header->shape);
    if (file.read(latent.data.data(), static_cast<std::size_t>(size), path) != static_cast<std::size_t>(size)) {
        fail(Status::input, path, ": changed while it was read; try again");
    }
    if (!std::all_of(latent.data.begin(), latent.data.end(), [](float value) { return std::isfinite(value); })) {
        fail(Status::input, path, ": holds values that are not finite; make the latent again");
    }
    return latent;
}

// Whose latent it may be, in pixels where the decoder takes one size alone and nothing but that differs.
std::string of_another(const Shape& shape, const Graph& decoder) {
    const auto& own = decoder.inputs.at(0).shape;
    const Port& image = decoder.outputs.at(0);
    const std::size_t first = image.dtype == "uint8" ? 1 : 2;
    const Dim& height = image.shape.at(first);
    const Dim& width = image.shape.at(first + 1);
    const bool fixed = own.at(2).is_fixed() && own.at(3).is_fixed() && height.is_fixed() && width.is_fixed();
    const bool differs_in_size = shape.size() == 4 && own.at(1).is_fixed() && shape[1] == own[1].size &&
                                 (shape[2] != own[2].size || shape[3] != own[3].size);
    if (!fixed || !differs_in_size) return "it is a latent of another model or size";
    const auto factor = height.size / own[2].size;
    return text("it is a latent of ", factor * shape[3], "x", factor * shape[2], " pixels and this bundle takes ",
                width.size, "x", height.size, " alone; export one without --size");
}

}  // namespace

void check_latent_target(const std::string& path, bool force) {
    check_suffix(path);
    check_target(path, force);
}

void write_latent(const std::string& path, const Floats& latent, bool force) {
    check_suffix(path);
    write_whole(path, array_file(latent.data.data(), latent.shape), force);
}

Floats read_latent(const std::string& path, const Graph& decoder) {
    const Port& port = decoder.inputs.at(0);
    return read_array(path, [&](const Shape& shape) {
        Shape full = shape;
        // A graph of a fixed batch runs full, with fewer latents as well.
        if (!full.empty() && full[0] > 0) full[0] = std::max(full[0], decoder.fixed_rows().value_or(full[0]));
        const auto axes = port.axes(full);
        if (!axes) {
            fail(Status::input, path, ": shape ", shape_text(shape), ", the decoder takes ", port.dims_text(), "; ",
                 of_another(shape, decoder));
        }
        if (const auto axis = decoder.outside(*axes)) {
            const auto& bounds = decoder.ranges.at(*axis);
            fail(Status::input, path, ": ", *axis, " is ", axes->at(*axis), ", the decoder takes ", bounds.min, " to ",
                 bounds.max);
        }
    });
}

Floats read_noise(const std::string& path) {
    return read_array(path, [&](const Shape& shape) {
        if (shape.size() != 4) {
            fail(Status::input, path, ": shape ", shape_text(shape), "; noise is (N, channels, height, width)");
        }
        if (saturated_product(shape, 4) > kMaxNoiseBytes) {
            fail(Status::input, path, ": more than ", kMaxNoiseBytes >> 20, " MiB of noise");
        }
    });
}

}  // namespace dcae::core
