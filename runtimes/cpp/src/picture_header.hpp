// What a picture file announces, read before any decoder sees it.
#pragma once

#include <cstdint>

#include "files.hpp"

namespace dcae::core {

enum class PictureFormat { png, jpeg, webp };

// As messages have it.
const char* name_of(PictureFormat format);

struct PictureHeader {
    PictureFormat format = PictureFormat::png;
    // As stored, before the orientation is applied.
    std::int64_t width = 0;
    std::int64_t height = 0;
    // Of EXIF: 1 (upright) to 8.
    int orientation = 1;
};

// Walks the whole file by its own length fields, so that a truncated one is found here. Errors of the status `input`
// say what is wrong, without the file's name.
PictureHeader read_picture_header(const Bytes& data);

}  // namespace dcae::core
