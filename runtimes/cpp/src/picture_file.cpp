#include "picture_file.hpp"

#include <png.h>
// libjpeg's header needs FILE and size_t before it.
#include <cstdio>

#include <jpeglib.h>

#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "error.hpp"
#include "files.hpp"
#include "strings.hpp"
#include "whole_file.hpp"

namespace dcae::core {
namespace {

constexpr int kJpegQuality = 95;
constexpr std::int64_t kMaxJpegSide = 65500;

enum class Format { png, jpeg };

std::string suffix_of(const std::string& path) {
    const auto name = path.substr(path.rfind('/') + 1);
    const auto dot = name.rfind('.');
    return dot == std::string::npos || dot == 0 ? "" : name.substr(dot);
}

Format format_of(const std::string& path) {
    const auto suffix = folded(suffix_of(path));
    if (suffix == ".png") return Format::png;
    if (suffix == ".jpg" || suffix == ".jpeg") return Format::jpeg;
    fail(Status::usage, path, ": the suffix ", quoted(suffix_of(path)), " is none of .png and .jpg");
}

Bytes png_file(const std::string& path, const Pictures& picture) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(picture.shape[2]);
    image.height = static_cast<png_uint_32>(picture.shape[1]);
    image.format = PNG_FORMAT_RGB;
    png_alloc_size_t size = 0;
    Bytes file;
    if (png_image_write_to_memory(&image, nullptr, &size, 0, picture.data.data(), 0, nullptr) != 0) {
        file.resize(size);
        if (png_image_write_to_memory(&image, file.data(), &size, 0, picture.data.data(), 0, nullptr) != 0) {
            file.resize(size);
            return file;
        }
    }
    fail(Status::input, path, ": libpng cannot encode ", picture.shape[2], " x ", picture.shape[1], " pixels as PNG (",
         image.message, "); choose another format");
}

// libjpeg leaves by a jump where it cannot go on; nothing with a destructor may stand between.
struct JpegErrors {
    jpeg_error_mgr base;
    std::jmp_buf jump;
};

void jump_out(j_common_ptr info) { std::longjmp(reinterpret_cast<JpegErrors*>(info->err)->jump, 1); }
void say_nothing(j_common_ptr, int) {}

bool encode_jpeg(const Pictures& picture, unsigned char** data, unsigned long* size) {
    jpeg_compress_struct info{};
    JpegErrors errors{};
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = jump_out;
    errors.base.emit_message = say_nothing;
    if (setjmp(errors.jump) != 0) {
        jpeg_destroy_compress(&info);
        return false;
    }
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, data, size);
    info.image_width = static_cast<JDIMENSION>(picture.shape[2]);
    info.image_height = static_cast<JDIMENSION>(picture.shape[1]);
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, kJpegQuality, TRUE);
    jpeg_start_compress(&info, TRUE);
    const std::size_t stride = static_cast<std::size_t>(picture.shape[2]) * 3;
    while (info.next_scanline < info.image_height) {
        // A row is read, not written to; libjpeg's interface has no word for that.
        auto* row = const_cast<JSAMPLE*>(picture.data.data() + info.next_scanline * stride);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    return true;
}

Bytes jpeg_file(const std::string& path, const Pictures& picture) {
    if (picture.shape[1] > kMaxJpegSide || picture.shape[2] > kMaxJpegSide) {
        fail(Status::input, path, ": JPEG holds at most ", kMaxJpegSide, " pixels a side, not ", picture.shape[2], " x ",
             picture.shape[1], "; write a .png");
    }
    unsigned char* data = nullptr;
    unsigned long size = 0;
    const bool done = encode_jpeg(picture, &data, &size);
    const std::unique_ptr<unsigned char, decltype(&std::free)> owned(data, &std::free);
    if (!done) {
        fail(Status::input, path, ": libjpeg cannot encode ", picture.shape[2], " x ", picture.shape[1],
             " pixels as JPEG; choose another format");
    }
    return {data, data + size};
}

}  // namespace

void check_picture_target(const std::string& path, bool force) {
    format_of(path);
    check_target(path, force);
}

void write_picture(const std::string& path, const Pictures& picture, bool force) {
    const Format format = format_of(path);
    require_free(path, force);
    write_whole(path, format == Format::png ? png_file(path, picture) : jpeg_file(path, picture), force);
}

}  // namespace dcae::core
