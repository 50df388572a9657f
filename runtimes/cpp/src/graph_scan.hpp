// Look into an ONNX file's bytes before ONNX Runtime does.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace dcae::core {

struct ExternalData {
    std::string location;
    std::int64_t offset = 0;
    std::optional<std::int64_t> length;
};

// What an ONNX file refers to, subgraphs and functions included; the domain "ai.onnx" reads "".
struct GraphScan {
    std::vector<ExternalData> external;
    std::set<std::pair<std::string, std::string>> operators;
    std::map<std::string, std::string> metadata;
    std::map<std::string, std::uint64_t> opsets;
};

// A walk over protobuf's wire format. What a walker and a parser could read differently (a repeated field that must
// be single, a field or key that ONNX does not define) is an Error of the status `input`.
GraphScan scan_graph(const unsigned char* data, std::size_t size);

// Operators of ONNX's own domain that a bundle may use: none reads a file, draws at random or branches.
bool is_allowed_operator(const std::string& name);

}  // namespace dcae::core
