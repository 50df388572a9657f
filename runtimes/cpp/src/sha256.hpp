// The digest of bytes as they come.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace dcae::core {

class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void add(const void* data, std::size_t size);
    // 64 lower-case hexadecimal digits of all that was added; nothing may be added after.
    std::string digest();

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

}  // namespace dcae::core
