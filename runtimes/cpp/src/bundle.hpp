// Read a bundle, trusting nothing in it.
#pragma once

#include <string>
#include <vector>

#include "array.hpp"
#include "files.hpp"
#include "manifest.hpp"

namespace dcae::core {

// A graph whose files were checked. `model` is what was checked: run it, not what `path` holds by then.
struct GraphFiles {
    Bytes model;
    std::string path;
    std::string folder;
    std::int64_t weight_bytes = 0;
    const Graph* graph = nullptr;
    std::string model_id;
    // The sha256 of the graph's file and of its data as the manifest lists them, and whether they were compared.
    std::vector<std::string> digests;
    bool has_verified_digests = false;
};

// A bundle whose manifest, paths and sizes were checked; hashes are checked as files are used.
class Bundle {
public:
    // Reads no file but the manifest. Without `verify_hashes` the hashes are skipped, and nothing else.
    Bundle(std::string path, bool verify_hashes);

    const std::string& path() const { return path_; }
    const Manifest& manifest() const { return manifest_; }

    // Check a graph's files before ONNX Runtime sees them.
    GraphFiles check_graph(const std::string& name) const;
    // An array of the bundle, of the type and shape that a port has.
    AnyArray array(const std::string& name, const Port& port) const;
    // The features of the time for each row of a sampler's table, (rows, width).
    Floats time_features(const NamedTable& sampler) const;
    // Check everything, hashes included even where the bundle was opened without.
    void verify() const;

private:
    void check_size(const std::string& name, std::int64_t size) const;
    void check_hash(const std::string& name, const std::string& digest) const;
    void check_contents(const std::string& name, bool hashes) const;
    Bytes read(const std::string& name, std::int64_t limit, bool hashes) const;
    GraphFiles checked_graph(const std::string& name, bool hashes) const;
    AnyArray checked_array(const std::string& name, const Port& port, bool hashes) const;
    Floats checked_features(const NamedTable& sampler, bool hashes) const;

    std::string path_;
    bool verify_hashes_;
    Manifest manifest_;
};

}  // namespace dcae::core
