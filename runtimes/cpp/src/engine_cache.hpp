// A folder of TensorRT engines, in which none is ever used for a key that is not its own; Python's package and this
// library may share it.
//
//   <cache>/                    0700, the user's own
//     <digest of the key>/      key.json, which holds the key and each file's sha256, and TensorRT's files
//     timings-<platform>/       measured layers
//
// An engine holds machine code: what is loaded was written by this user, and is unchanged since.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "cancel.hpp"
#include "engine_key.hpp"
#include "files.hpp"

namespace dcae::core {

class EngineCache {
public:
    // Held by the one process that builds.
    class Lock {
    public:
        explicit Lock(Descriptor file) : file_(std::move(file)) {}
        ~Lock();
        Lock(Lock&&) = default;
        Lock& operator=(Lock&&) = delete;

    private:
        Descriptor file_;
    };

    // Use a folder, made where it is missing; an empty path is that of the user's cache. An Error of the status
    // `refused` where others may have written to it.
    explicit EngineCache(const std::string& path);

    // The folder of an engine that is whole and of this very key.
    std::optional<std::string> find(const EngineKey& key) const;
    // Whether the folder of an engine that was found still holds its files and no others: a provider that takes none of
    // them builds one beside them.
    bool holds_only(const EngineKey& key) const;
    // The folder of measured layers of a platform, made where it is missing.
    std::string timings(const EngineKey& key) const;
    // Be the one process that builds, as long as what is returned lives: builders measure, and would disturb each
    // other. Others are waited for.
    Lock building(const Cancellation& cancellation) const;
    // Let `build` fill a folder, which takes the place of what the key has once that is done without an error. For the
    // process that is `building`: what one left that was killed is removed.
    void build(const EngineKey& key, const std::function<void(const std::string& folder)>& build) const;

private:
    std::string root_;
};

}  // namespace dcae::core
