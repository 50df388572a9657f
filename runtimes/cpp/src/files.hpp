// Open files inside a folder without ever following a link out of it, and read them.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dcae::core {

using Bytes = std::vector<unsigned char>;

// An open file descriptor.
class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_(number) {}
    ~Descriptor();
    Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    Descriptor& operator=(Descriptor&&) = delete;

    int number() const noexcept { return number_; }
    struct stat status() const;
    // Up to `size` bytes, fewer at the file's end; an Error of errno's where the system gives one.
    std::size_t read(void* into, std::size_t size, const std::string& name) const;
    Bytes read_up_to(std::size_t size, const std::string& name) const;

private:
    int number_;
};

// Look at the regular file `name` below `root` without opening it.
struct stat regular_file_status(const std::string& root, const std::string& name);

// Open the regular file `name` below `root` for reading.
Descriptor open_inside(const std::string& root, const std::string& name);

bool is_folder(const std::string& path);

// What errno says of a number, as a text.
std::string reason_of(int error_number);

}  // namespace dcae::core
