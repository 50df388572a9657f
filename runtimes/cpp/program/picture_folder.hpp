// Which files of a folder are pictures, and what is made of them is called.
#pragma once

#include <string>
#include <vector>

namespace dcae::program {

// The pictures of a folder and its subfolders, relative to it: of each folder first its pictures, by name, then those of
// its subfolders, by name. They are known by their suffix; names that begin with a dot are passed over. A note says which
// folders were not entered. An Error of the status `input` where there is none.
std::vector<std::string> pictures_in(const std::string& folder);

// A .png name for each picture: its own, with its old suffix kept where two would meet.
std::vector<std::string> names_for(const std::vector<std::string>& pictures);

// Whether a path is, or would be, in a folder or the folder itself.
bool lies_in(const std::string& path, const std::string& folder);

}  // namespace dcae::program
