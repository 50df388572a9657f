// The C interface: handles, and the border that no exception crosses.
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>

#include "dcae/dcae.h"
#include "error.hpp"
#include "noise.hpp"
#include "parity.hpp"
#include "picture_file.hpp"
#include "pipeline.hpp"
#include "pixels.hpp"
#include "strings.hpp"
#include "version.hpp"

using dcae::core::Cancellation;
using dcae::core::Error;
using dcae::core::fail;
using dcae::core::Floats;
using dcae::core::kVersion;
using dcae::core::Pictures;
using dcae::core::Pipeline;
using dcae::core::Status;

struct dcae_bundle {
    // Held for the time of a call: calls of a handle run one after the other.
    std::mutex call;
    // Guards what follows.
    mutable std::mutex state;
    std::condition_variable idle;
    // Calls that run or wait.
    std::set<Cancellation*> active;
    std::thread::id running;
    bool closing = false;
    // Closed from its own progress callback: the call that ends last frees the handle.
    bool orphaned = false;
    // What went wrong in each thread's last call, where it failed. An entry is changed and removed by calls of its own
    // thread alone, so that what dcae_last_error gave to that thread stays meanwhile.
    std::map<std::thread::id, std::string> errors;

    // Only touched by the call that runs; set once, by dcae_open.
    std::unique_ptr<Pipeline> pipeline;
    std::string manifest;
    std::string runtime;
};

namespace {

dcae_status status_of(Status status) { return static_cast<dcae_status>(static_cast<int>(status)); }

// What was thrown, as a status and a line.
dcae_status explained(std::string& message) noexcept {
    try {
        try {
            throw;
        } catch (const Error& error) {
            message = dcae::core::one_line(error.what());
            return status_of(error.status());
        } catch (const std::bad_alloc&) {
            message = "the memory is full; close other programs or choose a smaller size";
            return DCAE_RESOURCE;
        } catch (const std::exception& error) {
            message = std::string("a fault of dcae: ") + error.what();
            return DCAE_FAULT;
        } catch (...) {
            message = "a fault of dcae";
            return DCAE_FAULT;
        }
    } catch (...) {
        // Not even the message could be made.
        return DCAE_RESOURCE;
    }
}

// Run one call of a handle. Begun before dcae_close, it ends before the handle is freed.
template <typename Work>
dcae_status call(dcae_bundle* bundle, const Work& work) noexcept {
    if (bundle == nullptr) return DCAE_USAGE;
    const auto thread = std::this_thread::get_id();
    Cancellation cancellation;
    dcae_status status = DCAE_OK;
    std::string message;
    // Its place is taken before the work, which may leave no memory for one.
    std::string* error = nullptr;
    try {
        const std::lock_guard<std::mutex> lock(bundle->state);
        error = &bundle->errors[thread];
        error->clear();
        if (bundle->closing) {
            *error = "the handle is closed";
            return DCAE_CANCELLED;
        }
        if (bundle->running == thread) {
            *error = "called from the progress callback of a call on the same handle";
            return DCAE_USAGE;
        }
        bundle->active.insert(&cancellation);
    } catch (...) {
        // What there is no memory for is the place of a message.
        return explained(message);
    }
    try {
        const std::lock_guard<std::mutex> turn(bundle->call);
        {
            const std::lock_guard<std::mutex> lock(bundle->state);
            bundle->running = thread;
        }
        try {
            cancellation.check();
            work(cancellation);
        } catch (...) {
            status = explained(message);
        }
        const std::lock_guard<std::mutex> lock(bundle->state);
        bundle->running = {};
    } catch (...) {
        status = explained(message);
    }
    bool last = false;
    {
        const std::lock_guard<std::mutex> lock(bundle->state);
        error->swap(message);
        if (status == DCAE_OK) bundle->errors.erase(thread);
        bundle->active.erase(&cancellation);
        if (bundle->active.empty()) {
            last = bundle->orphaned;
            bundle->idle.notify_all();
        }
    }
    if (last) delete bundle;
    return status;
}

// As `call`, for work on the bundle that was opened.
template <typename Work>
dcae_status with_pipeline(dcae_bundle* bundle, const Work& work) noexcept {
    return call(bundle, [&](Cancellation& cancellation) {
        if (!bundle->pipeline) fail(Status::usage, "the bundle could not be opened");
        work(*bundle->pipeline, cancellation);
    });
}

// A struct as the caller's version of the header has it: what is missing at its end is zero, and what this version does
// not know of has to be.
template <typename Struct>
Struct complete(const Struct* given, const char* name) {
    Struct result{};
    if (given == nullptr) return result;
    if (given->size < sizeof(std::size_t) || given->size > 65536) {
        fail(Status::usage, name, ".size is ", given->size, "; begin with its INIT");
    }
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    const std::size_t known = std::min(given->size, sizeof(Struct));
    if (std::any_of(bytes + known, bytes + given->size, [](unsigned char byte) { return byte != 0; })) {
        fail(Status::usage, name, " has an option that version ", kVersion, " of the library does not know; update it");
    }
    std::memcpy(&result, bytes, known);
    return result;
}

void require(const void* pointer, const char* name) {
    if (pointer == nullptr) fail(Status::usage, name, " is NULL");
}

// Whether sizes are those of an array that can be in memory.
std::int64_t checked(std::size_t size, const char* name) {
    if (size == 0 || size > 2147483647) fail(Status::usage, name, " has a side of ", size);
    return static_cast<std::int64_t>(size);
}

template <typename Element>
dcae::core::Array<Element> copied(dcae::core::Shape shape, const Element* data, const char* name) {
    require(data, name);
    // Half of the address space in bytes bounds what can have been allocated.
    double elements = 1;
    for (const auto size : shape) elements *= static_cast<double>(size);
    if (elements * sizeof(Element) > 1e15) fail(Status::usage, name, " is larger than any memory");
    dcae::core::Array<Element> array(std::move(shape));
    std::copy_n(data, array.data.size(), array.data.begin());
    return array;
}

Pictures pictures_of(const dcae_images* images) {
    require(images, "images");
    return copied<std::uint8_t>({checked(images->count, "images"), checked(images->height, "images"),
                                 checked(images->width, "images"), 3},
                                images->data, "images");
}

Floats floats_of(const dcae_latents* latents) {
    require(latents, "latents");
    return copied<float>({checked(latents->count, "latents"), checked(latents->channels, "latents"),
                          checked(latents->height, "latents"), checked(latents->width, "latents")},
                         latents->data, "latents");
}

template <typename Element>
Element* allocated(const std::vector<Element>& values) {
    auto* data = static_cast<Element*>(std::malloc(std::max<std::size_t>(1, values.size() * sizeof(Element))));
    if (data == nullptr) throw std::bad_alloc();
    std::copy(values.begin(), values.end(), data);
    return data;
}

std::size_t side(const dcae::core::Shape& shape, std::size_t axis) { return static_cast<std::size_t>(shape.at(axis)); }

void give(const Pictures& pictures, dcae_images* images) {
    *images = {side(pictures.shape, 0), side(pictures.shape, 1), side(pictures.shape, 2), allocated(pictures.data)};
}

void give(const Floats& floats, dcae_latents* latents) {
    *latents = {side(floats.shape, 0), side(floats.shape, 1), side(floats.shape, 2), side(floats.shape, 3),
                allocated(floats.data)};
}

dcae::core::Request request_of(const dcae_request* given) {
    require(given, "request");
    const dcae_request raw = complete(given, "request");
    dcae::core::Request request;
    if (raw.label_count > 1000000) fail(Status::usage, "request.label_count is ", raw.label_count);
    for (std::size_t i = 0; i < raw.label_count; ++i) {
        const char* label = raw.labels == nullptr ? nullptr : raw.labels[i];
        request.labels.push_back(label == nullptr ? dcae::core::Label() : dcae::core::Label(label));
    }
    request.seed = raw.seed;
    if (raw.sampler != nullptr) request.sampler = raw.sampler;
    if (raw.guidance != nullptr) request.guidance = *raw.guidance;
    if (raw.height != 0 || raw.width != 0) {
        request.size = dcae::core::Size{checked(raw.height, "request"), checked(raw.width, "request")};
    }
    if (raw.latents != nullptr) request.latents = floats_of(raw.latents);
    if (raw.image != nullptr) {
        request.image = pictures_of(raw.image);
        if (request.image->shape[0] != 1) fail(Status::usage, "request.image holds ", raw.image->count, " pictures");
        request.strength = raw.strength == 0 ? 0.6 : raw.strength;
    }
    if (raw.progress != nullptr) {
        request.on_step = [progress = raw.progress, user = raw.user](std::size_t done, std::size_t count) {
            return progress(user, done, count) == 0;
        };
    }
    return request;
}

dcae::core::OpenOptions options_of(const dcae_open_options* given) {
    const dcae_open_options raw = complete(given, "options");
    dcae::core::OpenOptions options;
    if (raw.onnxruntime != nullptr) options.onnxruntime = raw.onnxruntime;
    if (raw.provider != nullptr) options.provider = dcae::core::provider_named(raw.provider);
    if (raw.threads < 0 || raw.threads > 4096) fail(Status::usage, "options.threads is ", raw.threads);
    if (raw.memory_limit < 0) fail(Status::usage, "options.memory_limit is ", raw.memory_limit);
    options.threads = raw.threads;
    options.keep_sessions = raw.keep_sessions != 0;
    options.verify_hashes = raw.skip_hashes == 0;
    if (raw.memory_limit > 0) options.memory_limit = raw.memory_limit;
    if (raw.engine_precision != nullptr && *raw.engine_precision != 0) options.engine.precision = raw.engine_precision;
    if (raw.engine_cache != nullptr) options.engine.cache = raw.engine_cache;
    check(options.engine, options.provider);
    return options;
}

}  // namespace

const char* dcae_version(void) { return kVersion; }

dcae_status dcae_open(const char* path, const dcae_open_options* options, dcae_bundle** bundle) {
    if (bundle == nullptr) return DCAE_USAGE;
    *bundle = new (std::nothrow) dcae_bundle;
    if (*bundle == nullptr) return DCAE_RESOURCE;
    dcae_bundle* opened = *bundle;
    return call(opened, [&](Cancellation&) {
        require(path, "path");
        auto pipeline = std::make_unique<Pipeline>(path, options_of(options));
        opened->manifest = pipeline->manifest().json.dump(2);
        opened->pipeline = std::move(pipeline);
    });
}

void dcae_close(dcae_bundle* bundle) {
    if (bundle == nullptr) return;
    {
        std::unique_lock<std::mutex> lock(bundle->state);
        bundle->closing = true;
        for (auto* one : bundle->active) one->cancel();
        if (bundle->running == std::this_thread::get_id()) {
            bundle->orphaned = true;
            return;
        }
        bundle->idle.wait(lock, [bundle] { return bundle->active.empty(); });
    }
    delete bundle;
}

const char* dcae_last_error(const dcae_bundle* bundle) {
    if (bundle == nullptr) return "";
    const std::lock_guard<std::mutex> lock(bundle->state);
    const auto error = bundle->errors.find(std::this_thread::get_id());
    return error == bundle->errors.end() ? "" : error->second.c_str();
}

void dcae_cancel(dcae_bundle* bundle) {
    if (bundle == nullptr) return;
    const std::lock_guard<std::mutex> lock(bundle->state);
    for (auto* one : bundle->active) one->cancel();
}

dcae_status dcae_release(dcae_bundle* bundle) {
    return with_pipeline(bundle, [](Pipeline& pipeline, Cancellation&) { pipeline.release(); });
}

const char* dcae_manifest(const dcae_bundle* bundle) {
    return bundle == nullptr || bundle->manifest.empty() ? nullptr : bundle->manifest.c_str();
}

dcae_status dcae_runtime(dcae_bundle* bundle, const char** description) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation&) {
        require(description, "description");
        const auto& runtime = pipeline.runtime();
        if (bundle->runtime.empty()) bundle->runtime = "ONNX Runtime " + runtime.version() + ", " + runtime.path();
        *description = bundle->runtime.c_str();
    });
}

dcae_status dcae_default_size(dcae_bundle* bundle, size_t* height, size_t* width) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation&) {
        require(height, "height");
        require(width, "width");
        const auto size = pipeline.default_size();
        *height = static_cast<std::size_t>(size.height);
        *width = static_cast<std::size_t>(size.width);
    });
}

dcae_status dcae_evaluations(dcae_bundle* bundle, const dcae_request* request, size_t* count) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation&) {
        require(count, "count");
        *count = pipeline.evaluations(request_of(request));
    });
}

dcae_status dcae_generate(dcae_bundle* bundle, const dcae_request* request, dcae_images* images) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation& cancellation) {
        require(images, "images");
        give(pipeline.generate(request_of(request), cancellation), images);
    });
}

dcae_status dcae_sample(dcae_bundle* bundle, const dcae_request* request, dcae_latents* latents) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation& cancellation) {
        require(latents, "latents");
        give(pipeline.sample(request_of(request), cancellation), latents);
    });
}

dcae_status dcae_decode_sampled(dcae_bundle* bundle, const dcae_latents* latents, dcae_images* images) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation& cancellation) {
        require(images, "images");
        give(pipeline.decode_scaled(floats_of(latents), cancellation), images);
    });
}

dcae_status dcae_encode(dcae_bundle* bundle, const dcae_images* images, dcae_latents* latents) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation& cancellation) {
        require(latents, "latents");
        give(pipeline.encode(pictures_of(images), cancellation), latents);
    });
}

dcae_status dcae_decode(dcae_bundle* bundle, const dcae_latents* latents, dcae_images* images) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation& cancellation) {
        require(images, "images");
        give(pipeline.decode(floats_of(latents), cancellation), images);
    });
}

dcae_status dcae_reconstruct(dcae_bundle* bundle, const dcae_images* image, dcae_fit fit, dcae_images* back) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation& cancellation) {
        require(back, "back");
        const Pictures picture = pictures_of(image);
        if (picture.shape[0] != 1) fail(Status::usage, "image holds ", picture.shape[0], " pictures");
        const auto number = static_cast<int>(fit);
        if (number < 0 || number > 2) fail(Status::usage, "fit is ", number);
        give(pipeline.reconstruct(picture, static_cast<dcae::core::Fit>(number), cancellation), back);
    });
}

dcae_status dcae_verify(dcae_bundle* bundle) {
    return with_pipeline(bundle, [](Pipeline& pipeline, Cancellation&) { pipeline.bundle().verify(); });
}

dcae_status dcae_parity(dcae_bundle* bundle, size_t* measured) {
    return with_pipeline(bundle, [&](Pipeline& pipeline, Cancellation& cancellation) {
        const auto all = dcae::core::measure_parity(pipeline, cancellation);
        if (measured != nullptr) *measured = all.size();
        if (all.empty()) {
            fail(Status::input, pipeline.bundle().path(), ": holds no golden arrays; export the bundle again");
        }
        for (const auto& one : all) {
            if (!one.passed()) fail(Status::parity, one.graph, " on ", one.runtime, ": ", one.difference.as_text());
        }
    });
}

dcae_status dcae_read_picture(dcae_bundle* bundle, const char* path, dcae_images* image) {
    return call(bundle, [&](Cancellation&) {
        require(path, "path");
        require(image, "image");
        give(dcae::core::read_picture(path), image);
    });
}

dcae_status dcae_write_picture(dcae_bundle* bundle, const char* path, const dcae_images* images, size_t index,
                               int replace) {
    return call(bundle, [&](Cancellation&) {
        require(path, "path");
        const Pictures pictures = pictures_of(images);
        if (index >= pictures.rows()) fail(Status::usage, "there is no picture ", index, " of ", pictures.rows());
        dcae::core::check_picture_target(path, replace != 0);
        dcae::core::write_picture(path, dcae::core::one_of(pictures, index), replace != 0);
    });
}

void dcae_noise(uint64_t seed, uint64_t stream, size_t count, float* numbers) {
    if (numbers != nullptr) dcae::core::normals(seed, stream, count, numbers);
}

void dcae_images_free(dcae_images* images) {
    if (images == nullptr) return;
    std::free(images->data);
    *images = {};
}

void dcae_latents_free(dcae_latents* latents) {
    if (latents == nullptr) return;
    std::free(latents->data);
    *latents = {};
}
