#include "whole_file.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "error.hpp"

namespace dcae::core {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_taken(const std::string& path) {
    fail(Status::input, path, ": exists; choose another name, or replace it with --force");
}

[[noreturn]] void refuse_unwritable(const std::string& path, int error_number) {
    const auto message = path + ": cannot be written: " + reason_of(error_number);
    if (error_number == ENOSPC || error_number == EDQUOT) {
        fail(Status::resource, message, "; free some space or choose another disk");
    }
    fail(Status::input, message, "; choose another target");
}

std::string parent_of(const std::string& path) {
    const auto parent = fs::path(path).parent_path().string();
    return parent.empty() ? "." : parent;
}

// A name beside the target that nobody else has.
std::string temporary_name(const std::string& path) {
    std::array<unsigned char, 8> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) refuse_unwritable(path, errno);
    std::string name = ".dcae-";
    for (const auto byte : bytes) {
        std::array<char, 3> digits{};
        std::snprintf(digits.data(), digits.size(), "%02x", static_cast<unsigned>(byte));
        name += digits.data();
    }
    return parent_of(path) + "/" + name + ".tmp";
}

// Removed when it is left, whether it got another name or not.
class Temporary {
public:
    explicit Temporary(std::string path) : path_(std::move(path)) {}
    ~Temporary() { unlink(path_.c_str()); }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    const char* path() const { return path_.c_str(); }

private:
    std::string path_;
};

void publish(const Temporary& temporary, const std::string& path, bool force) {
    // Unlike a rename, a link fails if the target has appeared meanwhile.
    if (!force) {
        if (link(temporary.path(), path.c_str()) == 0) return;
        if (errno == EEXIST) refuse_taken(path);
        // The file system has no hard links; what is left is to look, then rename.
        require_free(path, false);
    }
    if (rename(temporary.path(), path.c_str()) != 0) refuse_unwritable(path, errno);
}

}  // namespace

void check_target(const std::string& path, bool force) {
    if (!is_folder(parent_of(path))) {
        fail(Status::input, path, ": there is no folder ", parent_of(path), "; make it first");
    }
    require_free(path, force);
}

void require_free(const std::string& path, bool force) {
    std::error_code ignored;
    if (!force && fs::exists(path, ignored)) refuse_taken(path);
}

void write_whole(const std::string& path, const Bytes& data, bool force) {
    require_free(path, force);
    const Temporary temporary(temporary_name(path));
    const Descriptor file(open(temporary.path(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file.number() < 0) refuse_unwritable(path, errno);
    for (std::size_t done = 0; done < data.size();) {
        const auto count = write(file.number(), data.data() + done, data.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) refuse_unwritable(path, errno);
        done += static_cast<std::size_t>(count);
    }
    if (fsync(file.number()) != 0) refuse_unwritable(path, errno);
    publish(temporary, path, force);
}

void make_folder_of(const std::string& path) {
    std::error_code error;
    fs::create_directories(parent_of(path), error);
    if (error) fail(Status::input, parent_of(path), ": cannot be made: ", error.message());
}

}  // namespace dcae::core
