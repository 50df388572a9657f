// Pictures as files: PNG, JPEG and WebP, bounded before they are decoded. Samples are taken as they are stored.
#pragma once

#include <cstdint>
#include <string>

#include "array.hpp"

namespace dcae::core {

constexpr std::int64_t kMaxPixels = 1 << 26;
constexpr std::int64_t kMaxPictureBytes = 256 << 20;

// The level of the background on which transparent pictures are put.
enum class Background : std::uint8_t { black = 0, white = 255 };

// An upright RGB picture, (1, height, width, 3), of a regular file or a link to one.
Pictures read_picture(const std::string& path, Background background = Background::white);

// Check before the work that a picture can be written: the suffix, the folder, and that the name is free.
void check_picture_target(const std::string& path, bool force);

// Whether a file's name ends as those of pictures do.
bool is_picture_name(const std::string& name);

// Write one picture as PNG, JPEG (quality 95) or WebP (lossless), whole or not at all; the suffix chooses.
void write_picture(const std::string& path, const Pictures& picture, bool force);

}  // namespace dcae::core
