// JSON as a bundle has it: unique keys, bounded objects and depth, no NaN.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace dcae::core {

// Keys keep their order.
using Json = nlohmann::ordered_json;

// Parse a whole text; an Error of the status `input` where it is not such JSON.
Json parse_json(std::string_view text);

}  // namespace dcae::core
