#include "engine_key.hpp"

#include "sha256.hpp"

namespace dcae::core {
namespace {

using nlohmann::json;

std::string digest_of(const json& content) {
    // No space, and nothing but ASCII; a name that is no text has marks in its place.
    const auto line = content.dump(-1, ' ', true, json::error_handler_t::replace);
    Sha256 hash;
    hash.add(line.data(), line.size());
    return hash.digest().substr(0, 32);
}

}  // namespace

EngineKey::EngineKey(const GraphFiles& files, const Platform& platform, const std::string& precision,
                     const std::vector<InputProfile>& profile) {
    json inputs = json::array();
    for (const auto& input : profile) {
        inputs.push_back({{"name", input.name}, {"least", input.least}, {"best", input.best}, {"most", input.most}});
    }
    content_ = {
        {"model_id", files.model_id},
        {"graph", files.path.substr(files.path.rfind('/') + 1)},
        {"digests", files.digests},
        {"has_verified_digests", files.has_verified_digests},
        {"platform",
         {{"gpu", platform.gpu},
          {"compute_capability", platform.compute_capability},
          {"gpu_memory", platform.gpu_memory},
          {"driver", platform.driver},
          {"cuda", platform.cuda},
          {"tensorrt", platform.tensorrt},
          {"onnxruntime", platform.onnxruntime}}},
        {"precision", precision},
        {"workspace", nullptr},
        {"builder_level", kBuilderLevel},
        {"profile", std::move(inputs)},
    };
}

std::string EngineKey::digest() const { return digest_of(content_); }

std::string EngineKey::platform_digest() const { return digest_of(content_.at("platform")); }

}  // namespace dcae::core
