// From JSON to a manifest: keys, types, ranges and patterns.
#pragma once

#include "manifest.hpp"

namespace dcae::core {

// The content of a manifest whose values are such as the format's tables say; what values say together is checked
// elsewhere. A path that is not plain is refused whatever else is wrong.
Manifest read_manifest_content(const Json& json);

}  // namespace dcae::core
