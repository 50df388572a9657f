#include "engine_cache.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "error.hpp"
#include "sha256.hpp"
#include "strings.hpp"
#include "whole_file.hpp"

namespace dcae::core {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kKeyName = "key.json";
// A key has a few lines for each input and file.
constexpr std::int64_t kMaxKeyBytes = 1 << 20;
constexpr std::size_t kChunk = 1 << 20;
constexpr auto kPause = std::chrono::milliseconds(50);

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string home() {
    const auto stated = variable("HOME");
    if (!stated.empty()) return stated;
    const auto* user = getpwuid(geteuid());
    return user == nullptr ? "" : user->pw_dir;
}

// A leading ~ is the user's own folder, as Python has it.
std::string expanded(const std::string& path) {
    return path == "~" || path.rfind("~/", 0) == 0 ? home() + path.substr(1) : path;
}

// Where Python's package keeps what can be had again.
std::string users_cache() {
    const auto own = variable("DCAE_CACHE");
    if (!own.empty()) return own;
    const auto shared = variable("XDG_CACHE_HOME");
    return (shared.empty() ? "~/.cache" : shared) + "/dcae-export";
}

// Without a dot or slash at its end, behind which a link would not be seen.
std::string plain(const std::string& path) {
    const auto normal = fs::path(expanded(path)).lexically_normal();
    return (normal.has_filename() ? normal : normal.parent_path()).string();
}

[[noreturn]] void refuse_cache(const std::string& path, const std::string& why) {
    fail(Status::input, path, ": cannot be a cache: ", why, "; choose another with --engine-cache");
}

// Only this user can have written to the folder, and nobody else reads it from now on.
void check_folder(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) refuse_cache(path, reason_of(errno));
    if (!S_ISDIR(status.st_mode)) fail(Status::refused, path, ": is a link; name the folder that it leads to");
    if (status.st_uid != geteuid()) {
        fail(Status::refused, path,
             ": belongs to another user, and engines are machine code; choose another --engine-cache");
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        fail(Status::refused, path,
             ": others may write to it, and engines are machine code; remove it, or choose another --engine-cache");
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0 && chmod(path.c_str(), S_IRWXU) != 0) {
        refuse_cache(path, reason_of(errno));
    }
}

bool is_plain_folder(const std::string& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// Make a folder for the user alone where none is there.
void make_folder(const std::string& path) {
    if (mkdir(path.c_str(), S_IRWXU) == 0) return;
    const auto reason = reason_of(errno);
    if (!is_plain_folder(path)) refuse_cache(path, reason);
}

// Remove what stands at a path, whatever it is; links are not followed.
void remove(const std::string& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) refuse_cache(path, error.message());
}

std::string file_digest(const std::string& folder, const std::string& name) {
    const Descriptor file = open_inside(folder, name);
    Sha256 hash;
    Bytes chunk(kChunk);
    for (std::size_t count = chunk.size(); count == chunk.size();) {
        count = file.read(chunk.data(), chunk.size(), name);
        hash.add(chunk.data(), count);
    }
    return hash.digest();
}

std::set<std::string> names_in(const std::string& folder) {
    std::error_code error;
    std::set<std::string> names;
    fs::directory_iterator at(folder, error);
    for (; !error && at != fs::directory_iterator(); at.increment(error)) names.insert(at->path().filename().string());
    if (error) refuse_cache(folder, error.message());
    return names;
}

// The digests of an engine's files; null where the key is another one.
json listed_files(const std::string& folder, const EngineKey& key) {
    const Descriptor file = open_inside(folder, kKeyName);
    if (file.status().st_size > kMaxKeyBytes) return nullptr;
    const Bytes data = file.read_up_to(kMaxKeyBytes, kKeyName);
    const json content = json::parse(data.begin(), data.end(), nullptr, false);
    if (!content.is_object() || !content.contains("files") || !content.contains("key")) return nullptr;
    return content.at("key") == key.content() ? content.at("files") : json(nullptr);
}

// Whether a folder is of a key, and holds the files that are listed and no others.
bool is_whole(const std::string& folder, const EngineKey& key, bool with_digests) {
    if (!is_plain_folder(folder)) return false;
    try {
        const json listed = listed_files(folder, key);
        if (!listed.is_object() || listed.empty()) return false;
        auto there = names_in(folder);
        there.erase(kKeyName);
        return there.size() == listed.size() && std::all_of(there.begin(), there.end(), [&](const auto& name) {
                   return listed.contains(name) && (!with_digests || listed.at(name) == file_digest(folder, name));
               });
    } catch (const Error&) {
        return false;
    }
}

void seal(const std::string& folder, const EngineKey& key) {
    json files = json::object();
    for (const auto& name : names_in(folder)) files[name] = file_digest(folder, name);
    if (files.empty()) {
        fail(Status::input, key.content().at("graph").get<std::string>(), ": TensorRT kept no engine in ",
             fs::path(folder).parent_path().string());
    }
    const auto content = json{{"key", key.content()}, {"files", files}}.dump(2, ' ', true, json::error_handler_t::replace);
    write_whole(folder + "/" + kKeyName, Bytes(content.begin(), content.end()), false);
}

}  // namespace

EngineCache::EngineCache(const std::string& path)
    : root_(plain(path.empty() ? users_cache() + "/tensorrt" : path)) {
    std::error_code error;
    fs::create_directories(fs::path(root_).parent_path(), error);
    if (mkdir(root_.c_str(), S_IRWXU) != 0 && errno != EEXIST) refuse_cache(root_, reason_of(errno));
    check_folder(root_);
}

std::optional<std::string> EngineCache::find(const EngineKey& key) const {
    const auto folder = root_ + "/" + key.digest();
    return is_whole(folder, key, true) ? std::optional(folder) : std::nullopt;
}

bool EngineCache::holds_only(const EngineKey& key) const { return is_whole(root_ + "/" + key.digest(), key, false); }

std::string EngineCache::timings(const EngineKey& key) const {
    const auto folder = root_ + "/timings-" + key.platform_digest();
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(folder, ignored)) && !is_plain_folder(folder)) remove(folder);
    // Another process may have made it meanwhile.
    make_folder(folder);
    return folder;
}

EngineCache::Lock::~Lock() {
    // A process that was forked meanwhile has the descriptor, too.
    if (file_.number() >= 0) flock(file_.number(), LOCK_UN);
}

EngineCache::Lock EngineCache::building(const Cancellation& cancellation) const {
    const auto path = root_ + "/.builder.lock";
    Descriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (lock.number() < 0) refuse_cache(path, reason_of(errno));
    while (flock(lock.number(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) refuse_cache(path, reason_of(errno));
        cancellation.check();
        std::this_thread::sleep_for(kPause);
    }
    return Lock(std::move(lock));
}

void EngineCache::build(const EngineKey& key, const std::function<void(const std::string& folder)>& build) const {
    const auto target = root_ + "/" + key.digest();
    const auto staging = root_ + "/." + key.digest() + ".building";
    remove(staging);
    make_folder(staging);
    try {
        build(staging);
        seal(staging, key);
        remove(target);
        if (rename(staging.c_str(), target.c_str()) != 0) refuse_cache(target, reason_of(errno));
    } catch (...) {
        std::error_code ignored;
        fs::remove_all(staging, ignored);
        throw;
    }
}

}  // namespace dcae::core
