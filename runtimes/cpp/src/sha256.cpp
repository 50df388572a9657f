#include "sha256.hpp"

#include <openssl/evp.h>

#include <array>

#include "error.hpp"

namespace dcae::core {

struct Sha256::Context {
    EVP_MD_CTX* evp = EVP_MD_CTX_new();
    Context() = default;
    ~Context() { EVP_MD_CTX_free(evp); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
    if (context_->evp == nullptr || EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) != 1) {
        fail(Status::fault, "libcrypto has no SHA-256");
    }
}

Sha256::~Sha256() = default;

void Sha256::add(const void* data, std::size_t size) {
    if (EVP_DigestUpdate(context_->evp, data, size) != 1) fail(Status::fault, "libcrypto cannot hash");
}

std::string Sha256::digest() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    if (EVP_DigestFinal_ex(context_->evp, bytes.data(), &size) != 1) fail(Status::fault, "libcrypto cannot hash");
    constexpr const char* digits = "0123456789abcdef";
    std::string result;
    for (unsigned int i = 0; i < size; ++i) {
        result += digits[bytes[i] >> 4];
        result += digits[bytes[i] & 0xF];
    }
    return result;
}

}  // namespace dcae::core
