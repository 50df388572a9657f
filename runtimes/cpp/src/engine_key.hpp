// All that a TensorRT engine depends on: one that differs in any of it is another engine. Python's key of the same
// engine has the same content and digest.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "engine_profile.hpp"
#include "platform.hpp"

namespace dcae::core {

class EngineKey {
public:
    EngineKey(const GraphFiles& files, const Platform& platform, const std::string& precision,
              const std::vector<InputProfile>& profile);

    // Its keys are sorted.
    const nlohmann::json& content() const { return content_; }
    // A name for the engine's folder.
    std::string digest() const;
    // A name for the folder of what all engines of this platform share.
    std::string platform_digest() const;

private:
    nlohmann::json content_;
};

}  // namespace dcae::core
