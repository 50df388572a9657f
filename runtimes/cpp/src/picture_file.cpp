#include "picture_file.hpp"

#include <png.h>
// libjpeg's header needs FILE and size_t before it.
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>
#include <webp/decode.h>
#include <webp/encode.h>

#include <fcntl.h>

#include <cerrno>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include "error.hpp"
#include "files.hpp"
#include "picture_header.hpp"
#include "strings.hpp"
#include "whole_file.hpp"

namespace dcae::core {
namespace {

constexpr int kJpegQuality = 95;
constexpr std::size_t kFirstJpegBytes = 1 << 16;
constexpr std::int64_t kMaxJpegSide = 65500;
constexpr std::int64_t kMaxWebpSide = WEBP_MAX_DIMENSION;

std::string suffix_of(const std::string& path) {
    const auto name = path.substr(path.rfind('/') + 1);
    const auto dot = name.rfind('.');
    return dot == std::string::npos || dot == 0 ? "" : name.substr(dot);
}

std::optional<PictureFormat> format_named(const std::string& path) {
    const auto suffix = folded(suffix_of(path));
    if (suffix == ".png") return PictureFormat::png;
    if (suffix == ".jpg" || suffix == ".jpeg") return PictureFormat::jpeg;
    if (suffix == ".webp") return PictureFormat::webp;
    return std::nullopt;
}

PictureFormat format_of(const std::string& path) {
    if (const auto format = format_named(path)) return *format;
    fail(Status::usage, path, ": the suffix ", in_quotes(suffix_of(path)), " is none of .png, .jpg and .webp");
}

void check_sides(const std::string& path, const Pictures& picture, PictureFormat format, std::int64_t most) {
    if (picture.shape[1] <= most && picture.shape[2] <= most) return;
    fail(Status::input, path, ": ", name_of(format), " holds at most ", most, " pixels a side, not ", picture.shape[2],
         " x ", picture.shape[1], "; write a .png");
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

// Samples as they are stored: `channels` of 8 or 16 bits, in the machine's order of bytes.
struct Stored {
    unsigned depth = 8;
    unsigned channels = 3;
    Bytes data;
};

// libpng leaves by a jump where it cannot go on; nothing with a destructor may stand between.
struct PngReader {
    png_structp png = nullptr;
    png_infop info = nullptr;
    const unsigned char* data = nullptr;
    std::size_t left = 0;
};

void read_png_bytes(png_structp png, png_bytep into, std::size_t size) {
    auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > reader->left) png_error(png, "ends");
    std::memcpy(into, reader->data, size);
    reader->data += size;
    reader->left -= size;
}

void ignore_png_warning(png_structp, png_const_charp) {}
void leave_png(png_structp png, png_const_charp) { png_longjmp(png, 1); }

// Read up to the pixels, and ask for grey or RGB, with alpha where there is any, of 8 or 16 bits.
bool begin_png(PngReader& reader) {
    if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
    png_set_read_fn(reader.png, &reader, read_png_bytes);
    png_read_info(reader.png, reader.info);
    png_set_expand(reader.png);
    png_set_gray_to_rgb(reader.png);
    // PNG stores the high byte first.
    png_set_swap(reader.png);
    png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    return true;
}

bool read_png_rows(PngReader& reader, png_bytepp rows) {
    if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
    png_read_image(reader.png, rows);
    png_read_end(reader.png, nullptr);
    return true;
}

bool decode_png(const Bytes& file, const PictureHeader& header, Stored& stored) {
    PngReader reader;
    reader.data = file.data();
    reader.left = file.size();
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, leave_png, ignore_png_warning);
    if (reader.png == nullptr) throw std::bad_alloc();
    const auto destroy = [](PngReader* one) { png_destroy_read_struct(&one->png, &one->info, nullptr); };
    const std::unique_ptr<PngReader, decltype(destroy)> owned(&reader, destroy);
    reader.info = png_create_info_struct(reader.png);
    if (reader.info == nullptr) throw std::bad_alloc();
    if (!begin_png(reader)) return false;
    if (png_get_image_width(reader.png, reader.info) != header.width ||
        png_get_image_height(reader.png, reader.info) != header.height) {
        return false;
    }
    stored.depth = png_get_bit_depth(reader.png, reader.info);
    stored.channels = png_get_channels(reader.png, reader.info);
    const std::size_t stride = png_get_rowbytes(reader.png, reader.info);
    const auto height = static_cast<std::size_t>(header.height);
    stored.data.resize(stride * height);
    std::vector<png_bytep> rows(height);
    for (std::size_t row = 0; row < height; ++row) rows[row] = stored.data.data() + row * stride;
    return read_png_rows(reader, rows.data());
}

// libjpeg leaves by a jump as well.
struct JpegErrors {
    jpeg_error_mgr base;
    std::jmp_buf jump;
};

[[noreturn]] void jump_out(j_common_ptr info) {
    std::longjmp(reinterpret_cast<JpegErrors*>(info->err)->jump, 1);
}
void say_nothing(j_common_ptr, int) {}

// libjpeg warns where data are missing or wrong, and fills in grey.
void leave_at_missing_data(j_common_ptr info, int level) {
    if (level < 0) jump_out(info);
}

[[noreturn]] void leave_full(j_common_ptr info) {
    info->err->msg_code = JERR_OUT_OF_MEMORY;
    jump_out(info);
}

// After a jump: what the memory was too small for is no fault of the picture.
bool cannot_jpeg(const JpegErrors& errors) {
    if (errors.base.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    return false;
}

// A file that grows as it is written; libjpeg's own frees its buffer twice where there is no memory for the next.
struct JpegTarget {
    jpeg_destination_mgr base;
    Bytes* file;
};

// Room for `size` bytes in all, of which those from `begin` are free.
bool grow_jpeg(JpegTarget& target, std::size_t begin, std::size_t size) {
    try {
        target.file->resize(size);
    } catch (const std::exception&) {
        return false;
    }
    target.base.next_output_byte = target.file->data() + begin;
    target.base.free_in_buffer = size - begin;
    return true;
}

void begin_jpeg_file(j_compress_ptr info) {
    auto* target = reinterpret_cast<JpegTarget*>(info->dest);
    if (!grow_jpeg(*target, 0, kFirstJpegBytes)) leave_full(reinterpret_cast<j_common_ptr>(info));
}

// Called where the room is used up, whatever `free_in_buffer` says.
boolean grow_jpeg_file(j_compress_ptr info) {
    auto* target = reinterpret_cast<JpegTarget*>(info->dest);
    const std::size_t size = target->file->size();
    if (!grow_jpeg(*target, size, 2 * size)) leave_full(reinterpret_cast<j_common_ptr>(info));
    return TRUE;
}

void end_jpeg_file(j_compress_ptr info) {
    auto* target = reinterpret_cast<JpegTarget*>(info->dest);
    target->file->resize(target->file->size() - target->base.free_in_buffer);
}

bool encode_jpeg(const Pictures& picture, Bytes& file) {
    jpeg_compress_struct info{};
    JpegErrors errors{};
    JpegTarget target{};
    target.file = &file;
    target.base.init_destination = begin_jpeg_file;
    target.base.empty_output_buffer = grow_jpeg_file;
    target.base.term_destination = end_jpeg_file;
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = jump_out;
    errors.base.emit_message = say_nothing;
    if (setjmp(errors.jump) != 0) {
        jpeg_destroy_compress(&info);
        return cannot_jpeg(errors);
    }
    jpeg_create_compress(&info);
    info.dest = &target.base;
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

// Into `rows` of RGB, of the size that the file's header announces.
bool decode_jpeg(const Bytes& file, const PictureHeader& header, unsigned char* pixels) {
    jpeg_decompress_struct info{};
    JpegErrors errors{};
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = jump_out;
    errors.base.emit_message = leave_at_missing_data;
    if (setjmp(errors.jump) != 0) {
        jpeg_destroy_decompress(&info);
        return cannot_jpeg(errors);
    }
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, file.data(), static_cast<unsigned long>(file.size()));
    jpeg_read_header(&info, TRUE);
    if (info.image_width != header.width || info.image_height != header.height) {
        jump_out(reinterpret_cast<j_common_ptr>(&info));
    }
    // Not of CMYK, from which there is no one way to RGB: that is an error of libjpeg's.
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    const std::size_t stride = static_cast<std::size_t>(info.output_width) * 3;
    while (info.output_scanline < info.output_height) {
        JSAMPLE* row = pixels + info.output_scanline * stride;
        jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
    return true;
}

// Put straight alpha on the background, and round 16 bits to 8.
Pictures to_rgb(const Stored& stored, const PictureHeader& header, Background background) {
    Pictures picture({1, header.height, header.width, 3});
    const std::uint32_t opaque = stored.depth == 16 ? 65535 : 255;
    const std::uint32_t backdrop = background == Background::white ? opaque : 0;
    const auto sample = [&stored](std::size_t at) -> std::uint32_t {
        if (stored.depth == 8) return stored.data[at];
        std::uint16_t value = 0;
        std::memcpy(&value, stored.data.data() + 2 * at, 2);
        return value;
    };
    const std::size_t pixels = picture.data.size() / 3;
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
        const std::size_t at = pixel * stored.channels;
        for (std::size_t colour = 0; colour < 3; ++colour) {
            std::uint32_t value = sample(at + colour);
            if (stored.channels == 4) {
                const std::uint32_t weight = sample(at + 3);
                // Two 16-bit factors and half of the divisor just fit into 32 bits.
                value = (value * weight + (opaque - weight) * backdrop + opaque / 2) / opaque;
            }
            // No 16-bit value is a tie.
            const auto level = stored.depth == 16 ? (value + 128) / 257 : value;
            picture.data[3 * pixel + colour] = static_cast<std::uint8_t>(level);
        }
    }
    return picture;
}

// Apply an EXIF orientation: 5 to 8 exchange the axes, then each axis is or is not mirrored.
Pictures upright(const Pictures& stored, int orientation) {
    if (orientation == 1) return stored;
    const bool exchanged = orientation >= 5;
    const bool mirrored = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    const bool flipped = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    const auto height = static_cast<std::size_t>(stored.shape[exchanged ? 2 : 1]);
    const auto width = static_cast<std::size_t>(stored.shape[exchanged ? 1 : 2]);
    const auto stride = static_cast<std::size_t>(stored.shape[2]);
    Pictures picture({1, static_cast<std::int64_t>(height), static_cast<std::int64_t>(width), 3});
    for (std::size_t row = 0; row < height; ++row) {
        for (std::size_t column = 0; column < width; ++column) {
            const std::size_t y = flipped ? height - 1 - row : row;
            const std::size_t x = mirrored ? width - 1 - column : column;
            const std::size_t from = exchanged ? x * stride + y : y * stride + x;
            std::memcpy(&picture.data[3 * (row * width + column)], &stored.data[3 * from], 3);
        }
    }
    return picture;
}

Bytes read_file(const std::string& path) {
    const auto refuse = [&path](int error_number) {
        fail(Status::input, path, ": cannot be read: ", reason_of(error_number), "; check the path");
    };
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) refuse(errno);
    // A pipe or device would block or never end, so this is asked before opening.
    if (!S_ISREG(status.st_mode)) fail(Status::input, path, ": not a regular file; give the path of a picture");
    if (status.st_size > kMaxPictureBytes) {
        fail(Status::input, path, ": ", status.st_size, " bytes, at most ", kMaxPictureBytes,
             " are read; save the picture smaller");
    }
    const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (file.number() < 0) refuse(errno);
    return file.read_up_to(static_cast<std::size_t>(status.st_size), path);
}

Bytes jpeg_file(const std::string& path, const Pictures& picture) {
    check_sides(path, picture, PictureFormat::jpeg, kMaxJpegSide);
    Bytes file;
    if (!encode_jpeg(picture, file)) {
        fail(Status::input, path, ": libjpeg cannot encode ", picture.shape[2], " x ", picture.shape[1],
             " pixels as JPEG; choose another format");
    }
    return file;
}

Bytes webp_file(const std::string& path, const Pictures& picture) {
    check_sides(path, picture, PictureFormat::webp, kMaxWebpSide);
    const auto width = static_cast<int>(picture.shape[2]);
    const auto height = static_cast<int>(picture.shape[1]);
    unsigned char* data = nullptr;
    const std::size_t size = WebPEncodeLosslessRGB(picture.data.data(), width, height, 3 * width, &data);
    const std::unique_ptr<unsigned char, decltype(&WebPFree)> owned(data, &WebPFree);
    if (size == 0) {
        fail(Status::input, path, ": libwebp cannot encode ", width, " x ", height,
             " pixels as WebP; choose another format");
    }
    return {data, data + size};
}

Bytes encoded(const std::string& path, const Pictures& picture) {
    switch (format_of(path)) {
        case PictureFormat::png: return png_file(path, picture);
        case PictureFormat::jpeg: return jpeg_file(path, picture);
        case PictureFormat::webp: break;
    }
    return webp_file(path, picture);
}

bool decode_webp(const Bytes& file, const PictureHeader& header, Stored& stored) {
    WebPBitstreamFeatures features{};
    if (WebPGetFeatures(file.data(), file.size(), &features) != VP8_STATUS_OK) return false;
    if (features.width != header.width || features.height != header.height) return false;
    stored.channels = features.has_alpha != 0 ? 4 : 3;
    const std::size_t stride = static_cast<std::size_t>(header.width) * stored.channels;
    stored.data.resize(stride * static_cast<std::size_t>(header.height));
    const auto decode = features.has_alpha != 0 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
    auto* pixels = stored.data.data();
    return decode(file.data(), file.size(), pixels, stored.data.size(), static_cast<int>(stride)) != nullptr;
}

}  // namespace

Pictures read_picture(const std::string& path, Background background) {
    const Bytes data = read_file(path);
    PictureHeader header;
    try {
        header = read_picture_header(data);
    } catch (const Error& error) {
        fail(error.status(), path, ": ", error.what());
    }
    const auto pixels = header.width * header.height;
    if (pixels > kMaxPixels) {
        fail(Status::input, path, ": ", header.width, " x ", header.height, " is ", pixels, " pixels, at most ",
             kMaxPixels, " are read; scale the picture down");
    }
    Pictures picture;
    bool whole = false;
    if (header.format == PictureFormat::jpeg) {
        picture = Pictures({1, header.height, header.width, 3});
        whole = decode_jpeg(data, header, picture.data.data());
    } else {
        Stored stored;
        whole = (header.format == PictureFormat::png ? decode_png : decode_webp)(data, header, stored);
        if (whole) picture = to_rgb(stored, header, background);
    }
    if (!whole) {
        fail(Status::input, path, ": the ", name_of(header.format), " is damaged: its ", header.width, " x ",
             header.height, " pixels cannot be decoded; fetch or save it again");
    }
    return upright(picture, header.orientation);
}

bool is_picture_name(const std::string& name) { return format_named(name).has_value(); }

void check_picture_target(const std::string& path, bool force) {
    format_of(path);
    check_target(path, force);
}

void write_picture(const std::string& path, const Pictures& picture, bool force) {
    format_of(path);
    require_free(path, force);
    write_whole(path, encoded(path, picture), force);
}

}  // namespace dcae::core
