#include "bundle.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "error.hpp"
#include "graph_scan.hpp"
#include "npy.hpp"
#include "sha256.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr std::int64_t kMaxManifestBytes = 4 << 20;
// Protobuf's own limit; larger weights are external.
constexpr std::int64_t kMaxGraphBytes = 2147483647;
constexpr std::int64_t kMaxArrayBytes = 1 << 28;
constexpr std::size_t kChunk = 1 << 20;

Manifest read_manifest(const std::string& root) {
    const Descriptor file = open_inside(root, kManifestName);
    // One byte more than the limit, so that a file that grew meanwhile is not read as a prefix.
    const auto check = [](std::int64_t size) {
        if (size > kMaxManifestBytes) {
            fail(Status::input, kManifestName, ": ", size, " bytes, at most ", kMaxManifestBytes, " are read");
        }
    };
    check(file.status().st_size);
    const Bytes data = file.read_up_to(kMaxManifestBytes + 1, kManifestName);
    check(static_cast<std::int64_t>(data.size()));
    return parse_manifest(std::string(data.begin(), data.end()));
}

void check_belongs(const Manifest& manifest, const Graph& graph, const GraphScan& scan) {
    const std::pair<const char*, std::string> expected[] = {{"dcae.model_id", manifest.model_id},
                                                            {"dcae.format_version", std::to_string(kFormatVersion)}};
    for (const auto& [key, value] : expected) {
        const auto found = scan.metadata.find(key);
        if (found == scan.metadata.end() || found->second != value) {
            fail(Status::input, graph.path, ": ", key, " is not that of ", kManifestName,
                 "; files of two bundles were mixed, copy the bundle again");
        }
    }
    const auto found = scan.opsets.find("");
    if (found == scan.opsets.end() || found->second != static_cast<std::uint64_t>(graph.opset)) {
        const auto stated = found == scan.opsets.end() ? std::string("none") : std::to_string(found->second);
        fail(Status::input, graph.path, ": opset ", stated, ", ", kManifestName, " says ", graph.opset);
    }
}

void check_external(const Manifest& manifest, const Graph& graph, const ExternalData& external) {
    const auto slash = graph.path.rfind('/');
    const auto name = (slash == std::string::npos ? "" : graph.path.substr(0, slash + 1)) + external.location;
    if (std::find(graph.data.begin(), graph.data.end(), name) == graph.data.end()) {
        fail(Status::refused, graph.path, ": weights at ", in_quotes(external.location, 80), ", which ", kManifestName,
             " does not list as this graph's data; export the bundle again");
    }
    // Both are of eighteen digits at most, so that the sum fits.
    const auto end = external.offset + external.length.value_or(0);
    if (end > manifest.files.at(name).bytes) {
        fail(Status::input, graph.path, ": weights up to byte ", end, " of ", name,
             ", which ends before; export the bundle again");
    }
}

void check_scan(const Manifest& manifest, const Graph& graph, const Bytes& model) {
    GraphScan scan;
    try {
        scan = scan_graph(model.data(), model.size());
    } catch (const Error& error) {
        fail(error.status(), graph.path, ": ", error.what());
    }
    for (const auto& external : scan.external) check_external(manifest, graph, external);
    check_belongs(manifest, graph, scan);
    for (const auto& [domain, name] : scan.operators) {
        if (!domain.empty() || !is_allowed_operator(name)) {
            fail(Status::refused, graph.path, ": operator ", in_quotes(domain.empty() ? name : domain + "::" + name, 80),
                 " is not one that a bundle may use");
        }
    }
}

template <typename Element>
Array<Element> values_of(const Bytes& data, const ArrayHeader& header) {
    Array<Element> array(header.shape);
    if (!array.data.empty()) std::memcpy(array.data.data(), data.data() + header.start, array.data.size() * sizeof(Element));
    return array;
}

AnyArray decode_array(const std::string& name, const Bytes& data, const Port& port) {
    const auto refuse = [&name](const std::string& what) { fail(Status::input, name, ": ", what, "; export the bundle again"); };
    const auto header = parse_array_header(data.data(), data.size());
    if (!header || header->is_fortran) {
        refuse("its header is not that of a C-ordered array in version 1.0 of the format");
    }
    if (header->dtype != numpy_dtype(port.dtype)) refuse("holds " + header->dtype + ", " + port.dtype + " expected");
    if (!port.axes(header->shape)) {
        refuse("has the shape " + shape_text(header->shape) + ", " + port.dims_text() + " expected");
    }
    const std::int64_t width = port.dtype == "float32" ? 4 : port.dtype == "int64" ? 8 : 1;
    const auto size = saturated_product(header->shape, width);
    const auto there = static_cast<std::int64_t>(data.size() - header->start);
    if (there != size) refuse(text("has ", there, " bytes of data, ", size, " expected"));
    if (port.dtype == "int64") return values_of<std::int64_t>(data, *header);
    if (port.dtype == "uint8") return values_of<std::uint8_t>(data, *header);
    auto floats = values_of<float>(data, *header);
    if (!std::all_of(floats.data.begin(), floats.data.end(), [](float value) { return std::isfinite(value); })) {
        refuse("holds values that are not finite");
    }
    return floats;
}

[[noreturn]] void refuse_folder(const std::string& path) {
    fail(Status::input, path, ": no such folder; name a bundle's folder");
}

}  // namespace

Bundle::Bundle(std::string path, bool verify_hashes) : path_(std::move(path)), verify_hashes_(verify_hashes) {
    if (!is_folder(path_)) refuse_folder(path_);
    manifest_ = read_manifest(path_);
    for (const auto& entry : manifest_.files) {
        check_size(entry.first, regular_file_status(path_, entry.first).st_size);
    }
}

GraphFiles Bundle::check_graph(const std::string& name) const { return checked_graph(name, verify_hashes_); }

AnyArray Bundle::array(const std::string& name, const Port& port) const {
    return checked_array(name, port, verify_hashes_);
}

Floats Bundle::time_features(const NamedTable& sampler) const { return checked_features(sampler, verify_hashes_); }

void Bundle::verify() const {
    std::set<std::string> used;
    for (const auto& [name, graph] : manifest_.graphs) {
        checked_graph(name, true);
        used.insert(graph.path);
        used.insert(graph.data.begin(), graph.data.end());
    }
    for (const auto& golden : manifest_.golden) {
        const Graph& graph = *manifest_.graph(golden.graph);
        for (const auto& port : graph.inputs) checked_array(golden.inputs.at(port.name), port, true);
        for (const auto& port : graph.outputs) checked_array(golden.outputs.at(port.name), port, true);
        for (const auto& entry : golden.inputs) used.insert(entry.second);
        for (const auto& entry : golden.outputs) used.insert(entry.second);
    }
    if (manifest_.samplers) {
        for (const auto& sampler : manifest_.samplers->tables) {
            if (sampler.time_features) checked_features(sampler, true);
        }
    }
    for (const auto& entry : manifest_.files) {
        if (used.count(entry.first) == 0) check_contents(entry.first, true);
    }
}

void Bundle::check_size(const std::string& name, std::int64_t size) const {
    const auto listed = manifest_.files.at(name).bytes;
    if (size != listed) {
        fail(Status::input, name, ": ", size, " bytes, ", kManifestName, " says ", listed, "; copy the bundle again");
    }
}

void Bundle::check_hash(const std::string& name, const std::string& digest) const {
    if (digest != manifest_.files.at(name).sha256) {
        fail(Status::refused, name, ": sha256 differs from ", kManifestName, "; copy or export the bundle again");
    }
}

void Bundle::check_contents(const std::string& name, bool hashes) const {
    const Descriptor file = open_inside(path_, name);
    check_size(name, file.status().st_size);
    if (!hashes) return;
    Sha256 hash;
    Bytes chunk(kChunk);
    for (std::size_t count = chunk.size(); count == chunk.size();) {
        count = file.read(chunk.data(), chunk.size(), name);
        hash.add(chunk.data(), count);
    }
    check_hash(name, hash.digest());
}

Bytes Bundle::read(const std::string& name, std::int64_t limit, bool hashes) const {
    const auto size = manifest_.files.at(name).bytes;
    if (size > limit) fail(Status::input, name, ": ", size, " bytes, at most ", limit, " are read");
    const Descriptor file = open_inside(path_, name);
    check_size(name, file.status().st_size);
    Bytes data = file.read_up_to(static_cast<std::size_t>(size), name);
    // A file that was cut since its size was looked at.
    check_size(name, static_cast<std::int64_t>(data.size()));
    if (hashes) {
        Sha256 hash;
        hash.add(data.data(), data.size());
        check_hash(name, hash.digest());
    }
    return data;
}

GraphFiles Bundle::checked_graph(const std::string& name, bool hashes) const {
    const Graph* graph = manifest_.graph(name);
    if (graph == nullptr) {
        std::vector<std::string> names;
        for (const auto& entry : manifest_.graphs) names.push_back(entry.first);
        fail(Status::input, path_, ": no ", name, " in this bundle; its graphs: ",
             names.empty() ? "none" : joined(names, ", "));
    }
    GraphFiles files;
    files.graph = graph;
    files.path = graph->path;
    const auto slash = graph->path.rfind('/');
    files.folder = slash == std::string::npos ? path_ : path_ + "/" + graph->path.substr(0, slash);
    files.model = read(graph->path, kMaxGraphBytes, hashes);
    files.weight_bytes = static_cast<std::int64_t>(files.model.size());
    files.model_id = manifest_.model_id;
    files.has_verified_digests = hashes;
    files.digests.push_back(manifest_.files.at(graph->path).sha256);
    for (const auto& data : graph->data) {
        check_contents(data, hashes);
        files.digests.push_back(manifest_.files.at(data).sha256);
        files.weight_bytes += manifest_.files.at(data).bytes;
    }
    check_scan(manifest_, *graph, files.model);
    return files;
}

AnyArray Bundle::checked_array(const std::string& name, const Port& port, bool hashes) const {
    return decode_array(name, read(name, kMaxArrayBytes, hashes), port);
}

Floats Bundle::checked_features(const NamedTable& sampler, bool hashes) const {
    Port port = manifest_.graph("transformer")->inputs.at(1);
    port.shape.at(0) = {static_cast<std::int64_t>(sampler.table.rows.size()), ""};
    auto features = std::get<Floats>(checked_array(*sampler.time_features, port, hashes));
    const auto width = static_cast<std::ptrdiff_t>(features.row_size());
    std::map<float, std::ptrdiff_t> first;
    for (std::size_t i = 0; i < sampler.table.rows.size(); ++i) {
        const auto at = static_cast<std::ptrdiff_t>(i) * width;
        const auto same = first.emplace(sampler.table.rows[i].t, at).first->second;
        const auto begin = features.data.begin();
        if (!std::equal(begin + at, begin + at + width, begin + same)) {
            fail(Status::input, *sampler.time_features, ": different features of one time; export the bundle again");
        }
    }
    return features;
}

}  // namespace dcae::core
