// dcae.h for C++17: handles and results that free themselves, errors that are thrown.
#ifndef DCAE_DCAE_HPP
#define DCAE_DCAE_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dcae/dcae.h"

namespace dcae {

class Error : public std::runtime_error {
public:
    Error(dcae_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
    dcae_status status() const noexcept { return status_; }

private:
    dcae_status status_;
};

// Pictures: (count, height, width, 3), RGB, 0 to 255.
class Images {
public:
    Images() noexcept = default;
    ~Images() { dcae_images_free(&raw_); }
    Images(Images&& other) noexcept : raw_(std::exchange(other.raw_, {})) {}
    Images& operator=(Images&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }

    std::size_t count() const noexcept { return raw_.count; }
    std::size_t height() const noexcept { return raw_.height; }
    std::size_t width() const noexcept { return raw_.width; }
    std::uint8_t* data() noexcept { return raw_.data; }
    const std::uint8_t* data() const noexcept { return raw_.data; }
    std::size_t size() const noexcept { return 3 * raw_.count * raw_.height * raw_.width; }
    const dcae_images* raw() const noexcept { return &raw_; }
    dcae_images* raw() noexcept { return &raw_; }

private:
    dcae_images raw_{};
};

// Latents: (count, channels, height, width).
class Latents {
public:
    Latents() noexcept = default;
    ~Latents() { dcae_latents_free(&raw_); }
    Latents(Latents&& other) noexcept : raw_(std::exchange(other.raw_, {})) {}
    Latents& operator=(Latents&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }

    std::size_t count() const noexcept { return raw_.count; }
    std::size_t channels() const noexcept { return raw_.channels; }
    std::size_t height() const noexcept { return raw_.height; }
    std::size_t width() const noexcept { return raw_.width; }
    float* data() noexcept { return raw_.data; }
    const float* data() const noexcept { return raw_.data; }
    std::size_t size() const noexcept { return raw_.count * raw_.channels * raw_.height * raw_.width; }
    const dcae_latents* raw() const noexcept { return &raw_; }
    dcae_latents* raw() noexcept { return &raw_; }

private:
    dcae_latents raw_{};
};

struct OpenOptions {
    std::string onnxruntime;
    std::string provider = "cpu";
    std::int32_t threads = 0;
    bool keep_sessions = false;
    bool verify_hashes = true;
    std::int64_t memory_limit = 0;
    std::string engine_precision = "fp32";
    // Empty: the user's.
    std::string engine_cache;
};

struct Request {
    // Numbers or names, one for each picture; none: without a label.
    std::vector<std::optional<std::string>> labels;
    std::uint64_t seed = 0;
    std::optional<std::string> sampler{};
    std::optional<double> guidance{};
    std::size_t height = 0;
    std::size_t width = 0;
    const Latents* latents = nullptr;
    const Images* image = nullptr;
    double strength = 0.6;
    // Called after each evaluation with how many are done and how many there are; false ends the call.
    std::function<bool(std::size_t, std::size_t)> on_step{};
};

class Bundle {
public:
    explicit Bundle(const std::string& path, const OpenOptions& options = {}) {
        dcae_open_options raw = DCAE_OPEN_OPTIONS_INIT;
        raw.onnxruntime = options.onnxruntime.empty() ? nullptr : options.onnxruntime.c_str();
        raw.provider = options.provider.c_str();
        raw.threads = options.threads;
        raw.keep_sessions = options.keep_sessions ? 1 : 0;
        raw.skip_hashes = options.verify_hashes ? 0 : 1;
        raw.memory_limit = options.memory_limit;
        raw.engine_precision = options.engine_precision.c_str();
        raw.engine_cache = options.engine_cache.c_str();
        dcae_bundle* opened = nullptr;
        const dcae_status status = dcae_open(path.c_str(), &raw, &opened);
        handle_.reset(opened);
        check(status);
    }

    std::string manifest() const { return dcae_manifest(handle_.get()); }

    // Which ONNX Runtime is loaded, and from where.
    std::string runtime() {
        const char* description = nullptr;
        check(dcae_runtime(handle_.get(), &description));
        return description;
    }

    Images generate(const Request& request) {
        Images images;
        run(request, [&](const dcae_request* raw) { return dcae_generate(handle_.get(), raw, images.raw()); });
        return images;
    }

    // Latents in diffusion scale.
    Latents sample(const Request& request) {
        Latents latents;
        run(request, [&](const dcae_request* raw) { return dcae_sample(handle_.get(), raw, latents.raw()); });
        return latents;
    }

    Images decode_sampled(const Latents& latents) {
        Images images;
        check(dcae_decode_sampled(handle_.get(), latents.raw(), images.raw()));
        return images;
    }

    std::size_t evaluations(const Request& request) {
        std::size_t count = 0;
        run(request, [&](const dcae_request* raw) { return dcae_evaluations(handle_.get(), raw, &count); });
        return count;
    }

    Latents encode(const Images& images) {
        Latents latents;
        check(dcae_encode(handle_.get(), images.raw(), latents.raw()));
        return latents;
    }

    Images decode(const Latents& latents) {
        Images images;
        check(dcae_decode(handle_.get(), latents.raw(), images.raw()));
        return images;
    }

    Images reconstruct(const Images& image, dcae_fit fit = DCAE_FIT_PAD) {
        Images back;
        check(dcae_reconstruct(handle_.get(), image.raw(), fit, back.raw()));
        return back;
    }

    Images read_picture(const std::string& path) {
        Images image;
        check(dcae_read_picture(handle_.get(), path.c_str(), image.raw()));
        return image;
    }

    void write_picture(const std::string& path, const Images& images, std::size_t index = 0, bool replace = false) {
        check(dcae_write_picture(handle_.get(), path.c_str(), images.raw(), index, replace ? 1 : 0));
    }

    void verify() { check(dcae_verify(handle_.get())); }
    // The number of golden arrays, all of which were met.
    std::size_t parity() {
        std::size_t measured = 0;
        check(dcae_parity(handle_.get(), &measured));
        return measured;
    }
    void release() { check(dcae_release(handle_.get())); }
    // From any thread.
    void cancel() noexcept { dcae_cancel(handle_.get()); }
    dcae_bundle* raw() const noexcept { return handle_.get(); }

private:
    struct Close {
        void operator()(dcae_bundle* bundle) const noexcept { dcae_close(bundle); }
    };

    void check(dcae_status status) const {
        if (status != DCAE_OK) throw Error(status, handle_ ? dcae_last_error(handle_.get()) : "the memory is full");
    }

    struct Progress {
        const std::function<bool(std::size_t, std::size_t)>* on_step;
        // What the callback threw: it may not pass through C.
        std::exception_ptr thrown;
    };

    static int step(void* user, std::size_t done, std::size_t count) noexcept {
        auto* progress = static_cast<Progress*>(user);
        try {
            return (*progress->on_step)(done, count) ? 0 : 1;
        } catch (...) {
            progress->thrown = std::current_exception();
            return 1;
        }
    }

    template <typename Call>
    void run(const Request& request, const Call& call) {
        std::vector<const char*> labels;
        for (const auto& label : request.labels) labels.push_back(label ? label->c_str() : nullptr);
        Progress progress{&request.on_step, nullptr};
        dcae_request raw = DCAE_REQUEST_INIT;
        raw.labels = labels.data();
        raw.label_count = labels.size();
        raw.seed = request.seed;
        raw.sampler = request.sampler ? request.sampler->c_str() : nullptr;
        raw.guidance = request.guidance ? &*request.guidance : nullptr;
        raw.height = request.height;
        raw.width = request.width;
        raw.latents = request.latents != nullptr ? request.latents->raw() : nullptr;
        raw.image = request.image != nullptr ? request.image->raw() : nullptr;
        raw.strength = request.strength;
        raw.progress = request.on_step ? step : nullptr;
        raw.user = &progress;
        const dcae_status status = call(&raw);
        if (progress.thrown) std::rethrow_exception(progress.thrown);
        check(status);
    }

    std::unique_ptr<dcae_bundle, Close> handle_;
};

}  // namespace dcae

#endif
