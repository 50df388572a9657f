#include "placement.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr const char* kRecordPlacement = "session.record_ep_graph_assignment_info";

// Entries of ONNX Runtime's table of functions that headers of version 21 end before. A function keeps its place in the
// table for good.
constexpr std::uint32_t kSince = 24;
constexpr std::size_t kParts = 407;
constexpr std::size_t kProviderOfPart = 408;
constexpr std::size_t kNodesOfPart = 409;
constexpr std::size_t kOperatorOfNode = 412;
#if ORT_API_VERSION >= 24
static_assert(offsetof(OrtApi, Session_GetEpGraphAssignmentInfo) == kParts * sizeof(void*));
static_assert(offsetof(OrtApi, EpAssignedNode_GetOperatorType) == kOperatorOfNode * sizeof(void*));
#endif

struct Part;
struct Node;
using PartsOf = OrtStatus*(ORT_API_CALL*)(const OrtSession*, const Part* const**, std::size_t*);
using ProviderOf = OrtStatus*(ORT_API_CALL*)(const Part*, const char**);
using NodesOf = OrtStatus*(ORT_API_CALL*)(const Part*, const Node* const**, std::size_t*);
using OperatorOf = OrtStatus*(ORT_API_CALL*)(const Node*, const char**);

// What a GPU was asked for.
bool computes(const std::string& name) {
    static const std::set<std::string> operators = {
        "Attention", "BiasGelu", "Conv", "ConvTranspose", "DepthToSpace", "Einsum", "Erf", "FusedConv",
        "FusedGemm", "FusedMatMul", "Gelu", "Gemm", "GroupNormalization", "InstanceNormalization",
        "LayerNormalization", "MatMul", "MultiHeadAttention", "RMSNormalization", "ReduceMean", "Relu",
        "Resize", "Sigmoid", "SimplifiedLayerNormalization", "SkipLayerNormalization", "Softmax",
        "SpaceToDepth", "Tanh"};
    return operators.count(name) != 0;
}

template <typename Function>
Function entry(const void* const* table, std::size_t at) {
    Function function = nullptr;
    static_assert(sizeof(function) == sizeof(void*));
    std::memcpy(&function, table + at, sizeof(function));
    return function;
}

// The operators of each provider, counted, in the order in which they are first met.
using Operators = std::vector<std::pair<std::string, std::size_t>>;
using Placed = std::vector<std::pair<std::string, Operators>>;

template <typename Value>
Value& at(std::vector<std::pair<std::string, Value>>& values, const std::string& key) {
    const auto found = std::find_if(values.begin(), values.end(), [&](const auto& one) { return one.first == key; });
    return found == values.end() ? values.emplace_back(key, Value{}).second : found->second;
}

Placed placed_nodes(const OnnxRuntime& runtime, const OrtSession* session) {
    const auto* table = runtime.entries(kSince);
    if (table == nullptr) fail(Status::fault, "the placement of nodes was not recorded");
    const auto provider_of = entry<ProviderOf>(table, kProviderOfPart);
    const auto nodes_of = entry<NodesOf>(table, kNodesOfPart);
    const auto operator_of = entry<OperatorOf>(table, kOperatorOfNode);
    const Part* const* parts = nullptr;
    std::size_t part_count = 0;
    runtime.require(entry<PartsOf>(table, kParts)(session, &parts, &part_count));
    Placed placed;
    for (std::size_t i = 0; i < part_count; ++i) {
        const char* provider = nullptr;
        const Node* const* nodes = nullptr;
        std::size_t node_count = 0;
        runtime.require(provider_of(parts[i], &provider));
        runtime.require(nodes_of(parts[i], &nodes, &node_count));
        Operators& operators = at(placed, provider);
        for (std::size_t j = 0; j < node_count; ++j) {
            const char* name = nullptr;
            runtime.require(operator_of(nodes[j], &name));
            ++at(operators, name);
        }
    }
    return placed;
}

}  // namespace

void record_placement(const OnnxRuntime& runtime, OrtSessionOptions* options, Provider provider) {
    if (runtime.entries(kSince) == nullptr) {
        fail(Status::provider, name_of(provider), ": ONNX Runtime ", runtime.version(), " (", runtime.path(),
             ") does not tell what it leaves to the CPU; name the library of version 1.", kSince, " or newer");
    }
    runtime.require(runtime.api().AddSessionConfigEntry(options, kRecordPlacement, "1"));
}

void require_placement(const OnnxRuntime& runtime, const OrtSession* session, Provider provider, const Graph& graph,
                       const std::string& name) {
    Placed placed = placed_nodes(runtime, session);
    if (at(placed, ort_name(provider)).empty()) {
        fail(Status::provider, name_of(provider), ": ", name, ": ONNX Runtime gave it no node to run");
    }
    Operators left = at(placed, ort_name(Provider::cpu));
    left.erase(std::remove_if(left.begin(), left.end(), [](const auto& one) { return !computes(one.first); }),
               left.end());
    if (left.empty()) return;
    std::stable_sort(left.begin(), left.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    std::vector<std::string> names;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, left.size()); ++i) names.push_back(left[i].first);
    fail(Status::provider, name_of(provider), ": ", name, ": ONNX Runtime ", runtime.version(), " has no ",
         joined(names, ", "), " for ", graph.precision,
         " there and would run it on the CPU; export with another --precision or --target");
}

}  // namespace dcae::core
