#include "files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "error.hpp"

namespace dcae::core {
namespace {

[[noreturn]] void refuse_missing(const std::string& name) {
    fail(Status::input, name, ": missing; the bundle is incomplete, copy it again");
}

[[noreturn]] void refuse_unreadable(const std::string& name, int error_number) {
    fail(Status::input, name, ": cannot be read (", reason_of(error_number), ")");
}

struct stat component_status(const std::string& root, const std::string& name, const std::string& component) {
    struct stat status {};
    if (lstat((root + "/" + component).c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) refuse_missing(name);
        refuse_unreadable(name, errno);
    }
    if (S_ISLNK(status.st_mode)) {
        fail(Status::refused, name, ": ", component,
             " is a link; copy the bundle into a plain folder, links resolved");
    }
    return status;
}

}  // namespace

Descriptor::~Descriptor() {
    if (number_ >= 0) close(number_);
}

struct stat Descriptor::status() const {
    struct stat status {};
    if (fstat(number_, &status) != 0) fail(Status::input, "an open file has no status (", reason_of(errno), ")");
    return status;
}

std::size_t Descriptor::read(void* into, std::size_t size, const std::string& name) const {
    // Linux reads at most 2 GiB at once.
    constexpr std::size_t most = std::size_t{1} << 30;
    auto* bytes = static_cast<unsigned char*>(into);
    std::size_t done = 0;
    while (done < size) {
        const auto count = ::read(number_, bytes + done, size - done < most ? size - done : most);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) refuse_unreadable(name, errno);
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    return done;
}

Bytes Descriptor::read_up_to(std::size_t size, const std::string& name) const {
    Bytes data(size);
    data.resize(read(data.data(), size, name));
    return data;
}

struct stat regular_file_status(const std::string& root, const std::string& name) {
    struct stat status {};
    for (std::size_t end = 0; end != std::string::npos;) {
        end = name.find('/', end == 0 ? 0 : end + 1);
        status = component_status(root, name, name.substr(0, end));
        if (end != std::string::npos && !S_ISDIR(status.st_mode)) refuse_missing(name);
    }
    if (!S_ISREG(status.st_mode)) fail(Status::refused, name, ": not a regular file; a bundle holds nothing else");
    return status;
}

Descriptor open_inside(const std::string& root, const std::string& name) {
    const auto seen = regular_file_status(root, name);
    // O_NONBLOCK: a file that became a pipe after it was looked at must not hang the reader.
    Descriptor file(open((root + "/" + name).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file.number() < 0) refuse_unreadable(name, errno);
    const auto opened = file.status();
    // A folder on the way may have become a link since it was looked at.
    if (seen.st_ino != opened.st_ino || seen.st_dev != opened.st_dev) {
        fail(Status::refused, name, ": replaced by another file while it was opened");
    }
    return file;
}

bool is_folder(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string reason_of(int error_number) { return std::generic_category().message(error_number); }

}  // namespace dcae::core
