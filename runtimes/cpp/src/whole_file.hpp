// Write a file whole or not at all.
#pragma once

#include <string>

#include "files.hpp"

namespace dcae::core {

// Check before the work that a file can get this name: its folder is there, and it is free or may be replaced.
void check_target(const std::string& path, bool force);
// The same without the folder.
void require_free(const std::string& path, bool force);
// Write beside the target, sync, then give it its name.
void write_whole(const std::string& path, const Bytes& data, bool force);
// Make the folder of a file, and those above it.
void make_folder_of(const std::string& path);

}  // namespace dcae::core
