#include "graph_scan.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

// As deep as protobuf's own limit of a hundred messages allows graphs to nest: three messages a level.
constexpr int kMaxGraphDepth = 32;
constexpr std::size_t kMaxFields = 2000000;

constexpr const char* kAllowedOperators[] = {
    "Add",        "Attention",  "BatchNormalization", "Cast",          "Clip",        "Concat",
    "Constant",   "ConstantOfShape", "Conv",          "Cos",           "DepthToSpace", "Div",
    "Equal",      "Erf",        "Exp",                "Expand",        "Flatten",     "Floor",
    "Gather",     "Gelu",       "Gemm",               "GroupNormalization", "Identity", "InstanceNormalization",
    "LayerNormalization", "MatMul", "Max",            "MaxPool",       "Min",         "Mul",
    "Neg",        "Pad",        "Pow",                "RMSNormalization", "Reciprocal", "ReduceL2",
    "ReduceMean", "ReduceSum",  "ReduceSumSquare",    "Relu",          "Reshape",     "Resize",
    "Round",      "Shape",      "Sigmoid",            "Sin",           "Slice",       "Softmax",
    "SpaceToDepth", "Split",    "Sqrt",               "Squeeze",       "Sub",         "Swish",
    "Tanh",       "Tile",       "Transpose",          "Unsqueeze",     "Where",
};

template <typename... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
    fail(Status::input, parts...);
}

// A stretch of the file.
struct View {
    const unsigned char* data = nullptr;
    std::size_t size = 0;
};

struct Varint {
    std::uint64_t value = 0;
    std::size_t end = 0;
};

Varint read_varint(View view, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 10; ++i) {
        if (at + i >= view.size) refuse("ends inside a number; the file is truncated or no ONNX file");
        const std::uint64_t byte = view.data[at + i];
        // Of the tenth byte one bit is left; what is beyond 64 bits no parser reads alike.
        if (i == 9 && byte > 1) refuse("has a number of more than 64 bits; the file is no ONNX file");
        value |= (byte & 0x7F) << (7 * i);
        if (byte < 0x80) return {value, at + i + 1};
    }
    refuse("has a number of more than ten bytes; the file is no ONNX file");
}

// The field numbers of an ONNX message: read at most once, read often, a number, and passed over.
struct Message {
    const char* name;
    std::vector<unsigned> one;
    std::vector<unsigned> many;
    std::vector<unsigned> number;
    std::vector<unsigned> passed;
};

// Field numbers of onnx.proto, IR version 13.
const Message kModel{"model", {7}, {8, 14, 20, 25}, {}, {1, 2, 3, 4, 5, 6, 26}};
const Message kGraph{"graph", {}, {1, 5, 15}, {}, {2, 10, 11, 12, 13, 14, 16}};
const Message kNode{"node", {4, 7}, {5}, {}, {1, 2, 3, 6, 8, 9, 10}};
const Message kAttribute{"attribute", {5, 6, 22}, {10, 11, 23}, {}, {1, 2, 3, 4, 7, 8, 9, 13, 14, 15, 20, 21}};
const Message kTensor{"tensor", {}, {13}, {}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16}};
const Message kSparseTensor{"sparse tensor", {1, 2}, {}, {}, {3}};
const Message kTraining{"training info", {1, 2}, {}, {}, {3, 4}};
const Message kFunction{"function", {}, {7, 11}, {}, {1, 4, 5, 6, 8, 9, 10, 12, 13, 14}};
const Message kEntry{"text entry", {1, 2}, {}, {}, {}};
const Message kOpset{"operator set", {1}, {}, {2}, {}};

bool has(const std::vector<unsigned>& numbers, std::uint64_t wanted) {
    return std::find(numbers.begin(), numbers.end(), wanted) != numbers.end();
}

std::string domain_of(const std::string& name) { return name == "ai.onnx" ? "" : name; }

std::int64_t size_of(const std::string& digits) {
    // Eighteen digits fit every parser's 64 bits; a sign or a space does not pass.
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
        refuse("external data has the size ", in_quotes(digits, 80));
    }
    return std::stoll(digits);
}

// The fields of one message that are read.
class Fields {
public:
    explicit Fields(const Message& message) : message_(message) {}

    void add(std::uint64_t number, unsigned wire, View value) {
        if (has(message_.passed, number)) return;
        const bool is_number = has(message_.number, number);
        const bool is_many = has(message_.many, number);
        if (!is_number && !is_many && !has(message_.one, number)) {
            refuse(message_.name, " has an unknown field ", number);
        }
        constexpr unsigned length_delimited = 2;
        if (wire != (is_number ? 0u : length_delimited)) refuse(message_.name, " has a malformed field ", number);
        if (!is_many && !all(static_cast<unsigned>(number)).empty()) {
            refuse(message_.name, " repeats field ", number);
        }
        values_.emplace_back(static_cast<unsigned>(number), value);
    }

    std::vector<View> all(unsigned number) const {
        std::vector<View> found;
        for (const auto& [one, value] : values_) {
            if (one == number) found.push_back(value);
        }
        return found;
    }

    std::string text_of(unsigned number) const {
        std::string result;
        for (const auto& value : all(number)) result.append(reinterpret_cast<const char*>(value.data), value.size);
        for (const auto point : code_points(result)) {
            if (point >= 0xDC80 && point <= 0xDCFF) refuse(message_.name, " has text that is not UTF-8");
        }
        return result;
    }

    std::uint64_t number_of(unsigned number) const {
        const auto found = all(number);
        return found.empty() ? 0 : read_varint(found.front(), 0).value;
    }

private:
    const Message& message_;
    std::vector<std::pair<unsigned, View>> values_;
};

// One pass over a file: what was found, and how many fields that took.
class Walk {
public:
    GraphScan model(View data) {
        const Fields fields = read(data, kModel);
        for (const auto& part : fields.all(8)) {
            const Fields opset = read(part, kOpset);
            const auto domain = domain_of(opset.text_of(1));
            if (!found_.opsets.emplace(domain, opset.number_of(2)).second) {
                refuse("imports operator set ", in_quotes(domain, 80), " twice");
            }
        }
        found_.metadata = entries(fields.all(14), "metadata");
        for (const auto& part : fields.all(7)) graph(part, 1);
        for (const auto& part : fields.all(20)) {
            const Fields training = read(part, kTraining);
            for (const unsigned number : {1u, 2u}) {
                for (const auto& one : training.all(number)) graph(one, 1);
            }
        }
        for (const auto& part : fields.all(25)) function(part);
        return std::move(found_);
    }

private:
    Fields read(View data, const Message& message) {
        Fields fields(message);
        for (std::size_t at = 0; at < data.size;) {
            if (++num_fields_ > kMaxFields) refuse("has more than ", kMaxFields, " fields");
            const Varint tag = read_varint(data, at);
            const auto wire = static_cast<unsigned>(tag.value & 7);
            std::size_t start = tag.end;
            std::uint64_t length = 0;
            switch (wire) {
                case 0: length = read_varint(data, start).end - start; break;
                case 1: length = 8; break;
                case 2: {
                    const Varint size = read_varint(data, start);
                    start = size.end;
                    length = size.value;
                    break;
                }
                case 5: length = 4; break;
                default: refuse("has a field of wire type ", wire, "; the file is no ONNX file");
            }
            if (length > data.size - start) {
                refuse("ends inside a field; the file is truncated or no ONNX file");
            }
            fields.add(tag.value >> 3, wire, {data.data + start, static_cast<std::size_t>(length)});
            at = start + static_cast<std::size_t>(length);
        }
        return fields;
    }

    void graph(View data, int depth) {
        if (depth > kMaxGraphDepth) refuse("graphs are nested more than ", kMaxGraphDepth, " deep");
        const Fields fields = read(data, kGraph);
        for (const auto& part : fields.all(1)) node(part, depth);
        for (const auto& part : fields.all(5)) tensor(part);
        for (const auto& part : fields.all(15)) sparse_tensor(part);
    }

    void function(View data) {
        const Fields fields = read(data, kFunction);
        for (const auto& part : fields.all(7)) node(part, 1);
        for (const auto& part : fields.all(11)) attribute(part, 1);
    }

    void node(View data, int depth) {
        const Fields fields = read(data, kNode);
        found_.operators.emplace(domain_of(fields.text_of(7)), fields.text_of(4));
        for (const auto& part : fields.all(5)) attribute(part, depth);
    }

    void attribute(View data, int depth) {
        const Fields fields = read(data, kAttribute);
        for (const unsigned number : {5u, 10u}) {
            for (const auto& part : fields.all(number)) tensor(part);
        }
        for (const unsigned number : {22u, 23u}) {
            for (const auto& part : fields.all(number)) sparse_tensor(part);
        }
        for (const unsigned number : {6u, 11u}) {
            for (const auto& part : fields.all(number)) graph(part, depth + 1);
        }
    }

    void sparse_tensor(View data) {
        const Fields fields = read(data, kSparseTensor);
        for (const unsigned number : {1u, 2u}) {
            for (const auto& part : fields.all(number)) tensor(part);
        }
    }

    void tensor(View data) {
        // Whatever data_location says: a parser that ignores it would read the file.
        const auto found = entries(read(data, kTensor).all(13), "external data");
        if (found.empty()) return;
        for (const auto& entry : found) {
            const auto& key = entry.first;
            if (key != "location" && key != "offset" && key != "length" && key != "checksum") {
                refuse("external data has an unknown key ", in_quotes(key, 80));
            }
        }
        if (found.count("location") == 0) refuse("external data has no location");
        ExternalData external;
        external.location = found.at("location");
        if (found.count("offset") != 0) external.offset = size_of(found.at("offset"));
        if (found.count("length") != 0) external.length = size_of(found.at("length"));
        found_.external.push_back(std::move(external));
    }

    std::map<std::string, std::string> entries(const std::vector<View>& parts, const char* what) {
        std::map<std::string, std::string> result;
        for (const auto& part : parts) {
            const Fields fields = read(part, kEntry);
            const auto key = fields.text_of(1);
            if (!result.emplace(key, fields.text_of(2)).second) refuse(what, " has the key ", in_quotes(key, 80), " twice");
        }
        return result;
    }

    GraphScan found_;
    std::size_t num_fields_ = 0;
};

}  // namespace

GraphScan scan_graph(const unsigned char* data, std::size_t size) {
    // ONNX Runtime takes bytes with this mark for its own format, whatever else they are.
    if (size >= 8 && std::memcmp(data + 4, "ORTM", 4) == 0) {
        refuse("marked as ONNX Runtime's own format; a bundle holds ONNX files");
    }
    return Walk().model({data, size});
}

bool is_allowed_operator(const std::string& name) {
    return std::any_of(std::begin(kAllowedOperators), std::end(kAllowedOperators),
                       [&name](const char* allowed) { return name == allowed; });
}

}  // namespace dcae::core
