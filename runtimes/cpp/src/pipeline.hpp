// A bundle at work: encode, decode, and generate where it has a transformer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "array.hpp"
#include "bundle.hpp"
#include "cancel.hpp"
#include "engine_session.hpp"
#include "fit.hpp"
#include "labels.hpp"
#include "onnxruntime.hpp"
#include "session.hpp"

namespace dcae::core {

struct OpenOptions {
    // Empty: DCAE_ONNXRUNTIME, then the usual places.
    std::string onnxruntime;
    Provider provider = Provider::cpu;
    // Threads inside one operator; 0 is one per physical core.
    int threads = 0;
    // Bytes that a run may take; none is what the machine has left.
    std::optional<std::int64_t> memory_limit;
    // With tensorrt.
    EngineOptions engine;
    // Keep transformer and decoder loaded from one request to the next: faster, and both are in memory at once. Where
    // the memory does not hold both, each is released after its part.
    bool keep_sessions = false;
    bool verify_hashes = true;
};

// Height and width in pixels.
struct Size {
    std::int64_t height = 0;
    std::int64_t width = 0;
};

// Called after each evaluation with how many are done and how many there are; false ends the call.
using OnStep = std::function<bool(std::size_t done, std::size_t count)>;

struct Request {
    std::vector<Label> labels;
    // Image i draws from seed + i, modulo 2^64.
    std::uint64_t seed = 0;
    std::optional<std::string> sampler;
    std::optional<double> guidance;
    std::optional<Size> size;
    // The noise to begin with in place of the seed's, (N, channels, h, w), in diffusion scale.
    std::optional<Floats> latents;
    // A picture to vary, (1, height, width, 3) of the request's size, and the share of the steps that are run.
    std::optional<Pictures> image;
    double strength = 1.0;
    OnStep on_step;
    // Called after each call of the decoder with how many pictures are decoded and how many there are; false ends the
    // call.
    OnStep on_picture;
};

// Calls of one pipeline are made one after the other.
class Pipeline {
public:
    // ONNX Runtime is loaded when it is first needed.
    Pipeline(const std::string& path, OpenOptions options);

    const Bundle& bundle() const { return bundle_; }
    const Manifest& manifest() const { return bundle_.manifest(); }
    const OpenOptions& options() const { return options_; }
    const OnnxRuntime& runtime();

    // The size of an image where nothing else is asked for.
    Size default_size() const;
    // How often a request evaluates the transformer.
    std::size_t evaluations(const Request& request) const;
    // The size of a request, known to be one that can be made.
    Size checked_size(const Request& request) const;

    // Pictures, (N, H, W, 3).
    Pictures generate(const Request& request, Cancellation& cancellation);
    // Latents in diffusion scale, (N, channels, h, w): `generate` without the decoder.
    Floats sample(const Request& request, Cancellation& cancellation);
    // The pictures of latents in diffusion scale.
    Pictures decode_scaled(const Floats& latents, Cancellation& cancellation, const OnStep& on_picture = nullptr);

    // An Error of the status `usage` where the encoder does not take a picture once it is fitted, `name` its file.
    void check_size(Size size, Fit mode, const std::string& name = "") const;
    // Raw latents of pictures whose sides are multiples of the bundle's factor, and back. What these and `reconstruct`
    // load stays loaded until a request that keeps no sessions, or `release`.
    Floats encode(const Pictures& pictures, Cancellation& cancellation);
    Pictures decode(const Floats& latent, Cancellation& cancellation);

    // Encode and decode a picture of any size; sides that are no multiples are brought to some as `mode` says, and
    // padding is cropped off again.
    Pictures reconstruct(const Pictures& picture, Fit mode, Cancellation& cancellation);

    // Run one graph on arrays of its own.
    Named run(const std::string& graph, const Named& inputs, Cancellation& cancellation);

    // Release the sessions and their memory; the next call opens them again.
    void release();

private:
    using Grid = std::pair<std::int64_t, std::int64_t>;

    // The session of a graph for a run at these axes, which matter where an engine is built for them.
    const Session& session(const std::string& name, const Axes& axes, Cancellation& cancellation);
    const Session& session(const std::string& name, const Named& inputs, Cancellation& cancellation);
    void release_unless_kept();
    bool holds_both(Grid grid, std::int64_t rows) const;
    void check_decoder();
    const NamedTable& table(const std::optional<std::string>& sampler) const;
    void require_transformer() const;
    double weight(const Request& request) const;
    bool is_guided(double weight) const;
    std::int64_t images_per_call(std::int64_t images, Grid grid, bool guided) const;
    Grid checked_grid(const Request& request, bool guided) const;
    void require_room(const Request& request) const;
    void require_memory_for(Grid grid, std::int64_t rows) const;
    // Bytes of weights and a run: the larger one of transformer and decoder, both, and the latter.
    struct Needs {
        std::int64_t largest = 0;
        std::int64_t total = 0;
        std::int64_t decoder = 0;
    };
    std::optional<Needs> forecast(Grid grid, std::int64_t rows) const;
    std::int64_t fitting_side(std::int64_t below, std::int64_t rows, std::int64_t available) const;
    Floats encoded(const Pictures& image, Grid grid, Cancellation& cancellation);

    OpenOptions options_;
    Bundle bundle_;
    std::unique_ptr<OnnxRuntime> runtime_;
    std::map<std::string, EngineSession> sessions_;
    bool has_checked_decoder_ = false;
    // Whether the last request keeps its sessions.
    bool keeps_;
};

}  // namespace dcae::core
