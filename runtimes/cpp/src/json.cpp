#include "json.hpp"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr std::size_t kMaxKeys = 256;
// A manifest is seven deep.
constexpr std::size_t kMaxDepth = 100;

[[noreturn]] void refuse(const std::string& reason) {
    fail(Status::input, "manifest.json: not JSON as a bundle has it (", reason, "); copy the bundle again");
}

// Builds values as the parser meets their parts. nlohmann's own builder takes the last of equal keys.
class Builder : public nlohmann::json_sax<Json> {
public:
    explicit Builder(std::string_view text) : text_(text) {}

    Json take() { return std::move(root_); }

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t&) override { return add(value); }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(Json::object()); }
    bool start_array(std::size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& value) override {
        auto& level = levels_.back();
        if (!level.keys.insert(value).second) refuse("key " + in_quotes(value, 80) + " stands twice");
        if (level.keys.size() > kMaxKeys) refuse("more than " + std::to_string(kMaxKeys) + " keys in one object");
        level.key = value;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
        // Its number tells a number that no double holds from the rest; its text quotes the file.
        const auto read = text_.substr(0, std::min(position, text_.size()));
        const auto line = std::to_string(1 + std::count(read.begin(), read.end(), '\n'));
        if (error.id == 406) refuse("a number that is too large, at line " + line);
        refuse("malformed at line " + line);
    }

private:
    struct Level {
        Json* value;
        std::string key;
        std::unordered_set<std::string> keys;
    };

    Json* place(Json value) {
        if (levels_.empty()) {
            root_ = std::move(value);
            return &root_;
        }
        auto& level = levels_.back();
        if (level.value->is_array()) {
            level.value->push_back(std::move(value));
            return &level.value->back();
        }
        // Keys are unique, so that none has to be looked for.
        auto* object = level.value->get_ptr<Json::object_t*>();
        object->push_back({level.key, std::move(value)});
        return &object->back().second;
    }

    bool add(Json value) {
        place(std::move(value));
        return true;
    }

    bool open(Json value) {
        if (levels_.size() >= kMaxDepth) refuse("nested too deeply");
        Json* placed = place(std::move(value));
        levels_.push_back({placed, {}, {}});
        return true;
    }

    bool close() {
        levels_.pop_back();
        return true;
    }

    std::string_view text_;
    Json root_;
    // An inner value's place stays where it is as long as it is open: nothing is added beside it meanwhile.
    std::vector<Level> levels_;
};

}  // namespace

Json parse_json(std::string_view text) {
    if (text.substr(0, 3) == "\xEF\xBB\xBF") refuse("begins with a byte order mark");
    Builder builder(text);
    if (!Json::sax_parse(text.begin(), text.end(), &builder)) refuse("malformed");
    return builder.take();
}

}  // namespace dcae::core
