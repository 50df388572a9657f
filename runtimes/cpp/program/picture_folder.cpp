#include "picture_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "error.hpp"
#include "output.hpp"
#include "picture_file.hpp"
#include "strings.hpp"

namespace dcae::program {
namespace {

namespace fs = std::filesystem;

struct Entries {
    std::vector<std::string> pictures;
    std::vector<std::string> folders;
};

std::string left_out(const fs::path& path, const std::string& reason) {
    return "left out: " + path.string() + ": " + reason;
}

// What lies in the folder `inside` of `root`, sorted, relative to `root`.
Entries entries_of(const fs::path& root, const std::string& inside, std::vector<std::string>& notes,
                   std::error_code& error) {
    Entries found;
    std::error_code unknown;
    for (fs::directory_iterator entry(root / inside, error), end; !error && entry != end; entry.increment(error)) {
        const auto own = entry->path().filename().string();
        if (own[0] == '.') continue;
        const auto name = (fs::path(inside) / own).string();
        if (fs::is_directory(entry->symlink_status(unknown))) {
            found.folders.push_back(name);
        } else if (entry->is_directory(unknown)) {
            notes.push_back(left_out(entry->path(), "a link to a folder, which is not followed; give that folder itself"));
        } else if (core::is_picture_name(own)) {
            found.pictures.push_back(name);
        }
    }
    std::sort(found.pictures.begin(), found.pictures.end());
    std::sort(found.folders.begin(), found.folders.end());
    return found;
}

}  // namespace

std::vector<std::string> pictures_in(const std::string& folder) {
    std::vector<std::string> pictures;
    std::vector<std::string> notes;
    for (std::vector<std::string> inside_first = {""}; !inside_first.empty();) {
        const auto inside = inside_first.back();
        inside_first.pop_back();
        std::error_code error;
        const auto found = entries_of(folder, inside, notes, error);
        if (error && inside.empty()) {
            core::fail(core::Status::input, folder, ": cannot be read: ", error.message(), "; give a folder of pictures");
        }
        if (error) {
            notes.push_back(left_out(fs::path(folder) / inside, error.message()));
            continue;
        }
        pictures.insert(pictures.end(), found.pictures.begin(), found.pictures.end());
        inside_first.insert(inside_first.end(), found.folders.rbegin(), found.folders.rend());
    }
    if (pictures.empty()) {
        core::fail(core::Status::input, folder, ": holds no PNG, JPEG or WebP file; name another folder");
    }
    for (const auto& note : notes) print_note(note);
    return pictures;
}

std::vector<std::string> names_for(const std::vector<std::string>& pictures) {
    const auto plain = [](const std::string& picture) { return fs::path(picture).replace_extension(".png").string(); };
    // A file system may not tell upper case from lower.
    std::map<std::string, int> taken;
    for (const auto& picture : pictures) ++taken[core::folded(plain(picture))];
    std::vector<std::string> names;
    for (const auto& picture : pictures) {
        const auto name = plain(picture);
        names.push_back(taken[core::folded(name)] == 1 ? name : picture + ".png");
    }
    return names;
}

bool lies_in(const std::string& path, const std::string& folder) {
    std::error_code unknown;
    const auto whole = fs::weakly_canonical(path, unknown);
    const auto above = fs::weakly_canonical(folder, unknown);
    return std::mismatch(above.begin(), above.end(), whole.begin(), whole.end()).first == above.end();
}

}  // namespace dcae::program
