#include "picture_header.hpp"

#include <cstring>
#include <optional>
#include <tuple>
#include <utility>

#include "error.hpp"

namespace dcae::core {
namespace {

// Hostile files hold millions of empty segments; a 256 MiB PNG in chunks of 1 KiB holds fewer.
constexpr int kMaxSegments = 1 << 18;
// Each scan of a progressive JPEG costs a pass over all pixels; encoders write about ten.
constexpr int kMaxScans = 100;
constexpr int kOrientationTag = 0x0112;
constexpr int kShortType = 3;
constexpr unsigned kWebpAnimation = 0x02;

[[noreturn]] void refuse(const char* kind, const char* state, const std::string& what) {
    fail(Status::input, "the ", kind, " is ", state, ": ", what, "; fetch or save it again");
}

std::uint32_t number(const unsigned char* at, std::size_t size, bool little) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | at[little ? size - 1 - i : i];
    return value;
}

bool begins_with(const unsigned char* data, std::size_t size, const char* text, std::size_t length) {
    return size >= length && std::memcmp(data, text, length) == 0;
}

// 1 where there is none: broken metadata does not make a picture unreadable.
int exif_orientation(const unsigned char* data, std::size_t size) {
    if (begins_with(data, size, "Exif\0\0", 6)) {
        data += 6;
        size -= 6;
    }
    if (size < 8) return 1;
    const bool little = begins_with(data, size, "II*\0", 4);
    if (!little && !begins_with(data, size, "MM\0*", 4)) return 1;
    const std::size_t directory = number(data + 4, 4, little);
    if (directory + 2 > size) return 1;
    const std::size_t count = number(data + directory, 2, little);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t entry = directory + 2 + 12 * i;
        if (entry + 12 > size) return 1;
        if (number(data + entry, 2, little) != kOrientationTag) continue;
        const auto value = static_cast<int>(number(data + entry + 8, 2, little));
        return number(data + entry + 2, 2, little) == kShortType && value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

// An 8-byte signature, then chunks of (length, type, body, CRC), IHDR first and IEND last; libpng checks the CRCs.
PictureHeader read_png(const Bytes& data) {
    PictureHeader header;
    bool has_pixels = false;
    std::size_t start = 8;
    for (int chunk = 0; chunk < kMaxSegments; ++chunk) {
        if (start + 12 > data.size()) refuse("PNG", "truncated", "it has no IEND chunk");
        const std::size_t length = number(&data[start], 4, false);
        const unsigned char* kind = &data[start + 4];
        const unsigned char* body = kind + 4;
        if (length > data.size() - start - 12) refuse("PNG", "truncated", "its last chunk is longer than the file");
        const auto is = [kind](const char* name) { return std::memcmp(kind, name, 4) == 0; };
        if (chunk == 0) {
            if (!is("IHDR") || length != 13) refuse("PNG", "damaged", "it does not begin with IHDR");
            header.width = number(body, 4, false);
            header.height = number(body + 4, 4, false);
        }
        if (is("acTL")) fail(Status::input, "the PNG is an animation; save one frame as a still picture");
        if (is("eXIf")) header.orientation = exif_orientation(body, length);
        has_pixels = has_pixels || is("IDAT");
        if (is("IEND")) {
            if (!has_pixels) refuse("PNG", "damaged", "it holds no IDAT chunk");
            return header;
        }
        start += 12 + length;
    }
    refuse("PNG", "damaged", "it has too many chunks");
}

// In entropy-coded data FF 00 is a byte FF and FF D0 to FF D7 are restarts; FF 01 has no body, and FF before FF is
// filling. What is left begins a segment: the place of its code, or the file's end.
std::size_t next_marker(const Bytes& data, std::size_t start) {
    for (std::size_t at = start; at + 1 < data.size(); ++at) {
        const int code = data[at + 1];
        if (data[at] == 0xFF && code != 0 && code != 1 && code != 0xFF && !(code >= 0xD0 && code <= 0xD7)) return at + 1;
    }
    return data.size();
}

bool is_frame(int code) { return code >= 0xC0 && code <= 0xCF && code != 0xC4 && code != 0xC8 && code != 0xCC; }

// Segments of (FF, code, length, body), with entropy-coded data after each start of scan.
PictureHeader read_jpeg(const Bytes& data) {
    PictureHeader header;
    header.format = PictureFormat::jpeg;
    bool has_size = false;
    bool has_exif = false;
    int scans = 0;
    std::size_t start = 2;
    for (int segment = 0; segment < kMaxSegments; ++segment) {
        const std::size_t marker = next_marker(data, start);
        if (marker == data.size()) refuse("JPEG", "truncated", "it has no end-of-image marker");
        const int code = data[marker];
        if (code == 0xD9) {
            if (!has_size || scans == 0) refuse("JPEG", "damaged", "it ends before any pixels");
            return header;
        }
        if (code == 0xD8) refuse("JPEG", "damaged", "a second picture begins inside it");
        start = marker + 1;
        if (start + 2 > data.size()) refuse("JPEG", "truncated", "its last segment has no length");
        const std::size_t length = number(&data[start], 2, false);
        if (length < 2) refuse("JPEG", "damaged", "a segment is shorter than its own length field");
        if (start + length > data.size()) refuse("JPEG", "truncated", "its last segment is longer than the file");
        const unsigned char* body = &data[start] + 2;
        if (is_frame(code)) {
            if (has_size || length < 8) refuse("JPEG", "damaged", "its frame header is not one");
            has_size = true;
            header.height = number(body + 1, 2, false);
            header.width = number(body + 3, 2, false);
        } else if (code == 0xDA && ++scans > kMaxScans) {
            refuse("JPEG", "damaged", "it has more than 100 scans");
        } else if (code == 0xE1 && !has_exif && begins_with(body, length - 2, "Exif\0\0", 6)) {
            has_exif = true;
            header.orientation = exif_orientation(body, length - 2);
        }
        start += length;
    }
    refuse("JPEG", "damaged", "it has too many segments");
}

// Width and height as a chunk of a WebP has them; none where it is of another kind, or announces none.
using WebpSize = std::optional<std::pair<std::int64_t, std::int64_t>>;

WebpSize webp_size(const unsigned char* kind, const unsigned char* body, std::size_t length) {
    const auto is = [kind](const char* name) { return std::memcmp(kind, name, 4) == 0; };
    if (is("VP8X") && length >= 10) return {{number(body + 4, 3, true) + 1, number(body + 7, 3, true) + 1}};
    // The two bits above each size ask for upscaling, which libwebp ignores.
    if (is("VP8 ") && length >= 10 && std::memcmp(body + 3, "\x9d\x01\x2a", 3) == 0) {
        return {{number(body + 6, 2, true) & 0x3FFF, number(body + 8, 2, true) & 0x3FFF}};
    }
    if (is("VP8L") && length >= 5 && body[0] == 0x2F) {
        const auto bits = number(body + 1, 4, true);
        return {{(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1}};
    }
    return std::nullopt;
}

// A RIFF file whose chunks are (type, length, body, padding to an even length).
PictureHeader read_webp(const Bytes& data) {
    PictureHeader header;
    header.format = PictureFormat::webp;
    const std::size_t end = 8 + std::size_t{number(&data[4], 4, true)};
    if (end > data.size()) refuse("WebP", "truncated", text("it has ", data.size(), " of ", end, " bytes"));
    WebpSize found;
    bool has_pixels = false;
    std::size_t start = 12;
    for (int chunk = 0; start + 8 <= end; ++chunk) {
        if (chunk == kMaxSegments) refuse("WebP", "damaged", "it has too many chunks");
        const unsigned char* kind = &data[start];
        const std::size_t length = number(kind + 4, 4, true);
        const unsigned char* body = kind + 8;
        if (length > end - start - 8) refuse("WebP", "damaged", "a chunk is longer than the file");
        const auto is = [kind](const char* name) { return std::memcmp(kind, name, 4) == 0; };
        if (is("VP8X") || is("VP8 ") || is("VP8L")) {
            const auto size = webp_size(kind, body, length);
            if (!size) refuse("WebP", "damaged", "it holds no pixels");
            if (is("VP8X") && (body[0] & kWebpAnimation) != 0) {
                fail(Status::input, "the WebP is an animation; save one frame as a still picture");
            }
            // Whichever of them libwebp believes, it is the size that we return.
            if (found && found != size) refuse("WebP", "damaged", "its chunks differ in size");
            found = size;
            has_pixels = has_pixels || !is("VP8X");
        } else if (is("EXIF")) {
            header.orientation = exif_orientation(body, length);
        }
        start += 8 + length + length % 2;
    }
    if (!has_pixels) refuse("WebP", "damaged", "it holds no pixels");
    std::tie(header.width, header.height) = *found;
    return header;
}

}  // namespace

const char* name_of(PictureFormat format) {
    switch (format) {
        case PictureFormat::png: return "PNG";
        case PictureFormat::jpeg: return "JPEG";
        case PictureFormat::webp: break;
    }
    return "WebP";
}

PictureHeader read_picture_header(const Bytes& data) {
    PictureHeader header;
    if (data.empty()) fail(Status::input, "the file is empty");
    if (begins_with(data.data(), data.size(), "\x89PNG\r\n\x1a\n", 8)) {
        header = read_png(data);
    } else if (begins_with(data.data(), data.size(), "\xff\xd8\xff", 3)) {
        header = read_jpeg(data);
    } else if (data.size() >= 12 && std::memcmp(&data[0], "RIFF", 4) == 0 && std::memcmp(&data[8], "WEBP", 4) == 0) {
        header = read_webp(data);
    } else {
        fail(Status::input, "not a PNG, JPEG or WebP picture; convert it to one of them");
    }
    if (header.width == 0 || header.height == 0) {
        fail(Status::input, "the ", name_of(header.format), " announces no pixels");
    }
    return header;
}

}  // namespace dcae::core
