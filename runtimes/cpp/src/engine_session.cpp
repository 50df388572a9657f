#include "engine_session.hpp"

#include <algorithm>
#include <vector>

#include "difference.hpp"
#include "engine_cache.hpp"
#include "engine_key.hpp"
#include "error.hpp"
#include "noise.hpp"
#include "platform.hpp"
#include "provider_settings.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

// The file by which ONNX Runtime loads an engine of `dcae engine build`.
constexpr const char* kContextName = "engine.onnx";

// Noise where the graph takes numbers, zeros where it takes pictures, labels and levels.
Named trial_inputs(const Graph& graph, const Axes& axes) {
    Named inputs;
    std::uint64_t stream = 0;
    for (const auto& port : graph.inputs) {
        const Shape shape = port.resolve(axes);
        if (port.dtype == "float32") {
            Floats noise(shape);
            normals(0, stream++, noise.data.size(), noise.data.data());
            for (auto& value : noise.data) value = std::clamp(value, -1.0F, 1.0F);
            inputs.emplace(port.name, std::move(noise));
        } else if (port.dtype == "int64") {
            inputs.emplace(port.name, Integers(shape));
        } else {
            inputs.emplace(port.name, Pictures(shape));
        }
    }
    return inputs;
}

class Opening {
public:
    Opening(const OnnxRuntime& runtime, const GraphFiles& files, const SessionOptions& options,
            const EngineOptions& engine, const Axes& axes)
        : runtime_(runtime),
          files_(files),
          options_(options),
          precision_(engine.precision),
          axes_(engine_axes(*files.graph, axes)),
          inputs_(input_profiles(*files.graph, axes_)),
          key_(files, platform_of(runtime), engine.precision, inputs_),
          cache_(engine.cache) {}

    const EngineAxes& axes() const { return axes_; }

    // `files_unchanged` fails where the graph's files are no longer those that were hashed.
    std::unique_ptr<Session> open(Cancellation& cancellation, const std::function<void()>& files_unchanged) const {
        if (precision_ == "graph") return open_built();
        if (auto kept = open_kept()) return kept;
        const auto lock = cache_.building(cancellation);
        // Whoever built before may have built this one.
        if (auto kept = open_kept()) return kept;
        runtime_.preload_tensorrt_builder();
        const Named given = trial_inputs(*files_.graph, best_axes(axes_));
        const Named expected = by_cuda(given, cancellation);
        std::unique_ptr<Session> session;
        cache_.build(key_, [&](const std::string& folder) {
            session = with_engine(folder);
            require_parity(*session, given, expected);
            // The weights were read after they had been hashed, and the engine will be found by their hashes.
            files_unchanged();
        });
        cancellation.check();
        return session;
    }

private:
    std::unique_ptr<Session> with_engine(const std::string& folder) const {
        const EngineFiles engine{folder, inputs_, cache_.timings(key_)};
        SessionOptions options = options_;
        options.tensorrt = tensorrt_settings(precision_, &engine);
        return std::make_unique<Session>(runtime_, files_, options);
    }

    // Null where there is none that can be loaded.
    std::unique_ptr<Session> open_kept() const {
        const auto folder = cache_.find(key_);
        if (!folder) return nullptr;
        try {
            auto session = with_engine(*folder);
            return cache_.holds_only(key_) ? std::move(session) : nullptr;
        } catch (const UnreadableEngine&) {
            return nullptr;
        }
    }

    std::unique_ptr<Session> open_built() const {
        const auto folder = cache_.find(key_);
        if (!folder) {
            std::vector<std::string> sizes;
            for (const auto& [name, value] : best_axes(axes_)) sizes.push_back(text(name, " ", value));
            fail(Status::provider, "tensorrt: no engine of ", key_.content().at("graph").get<std::string>(), " for ",
                 sizes.empty() ? "its size" : joined(sizes, ", "),
                 ", this GPU and version; dcae engine build makes it, with the --size and --guidance of this run, and "
                 "its pictures at a time as --batch");
        }
        SessionOptions options = options_;
        options.tensorrt = tensorrt_settings(precision_, nullptr);
        options.context = *folder + "/" + kContextName;
        try {
            return std::make_unique<Session>(runtime_, files_, options);
        } catch (const UnreadableEngine& error) {
            fail(Status::provider, "tensorrt: ", error.what(), "; remove ", *folder, ", and dcae engine build makes it again");
        }
    }

    // Closed again before the engine is made, so that the two never share the GPU's memory.
    Named by_cuda(const Named& inputs, Cancellation& cancellation) const {
        SessionOptions options = options_;
        options.provider = Provider::cuda;
        return Session(runtime_, files_, options).run(inputs, cancellation);
    }

    void require_parity(const Session& session, const Named& given, const Named& expected) const {
        // An engine took minutes: it is compared and kept even where nobody waits for it any more.
        Cancellation none;
        Named found;
        try {
            found = session.run(given, none);
        } catch (const Error& error) {
            if (error.status() == Status::parity) refuse_off("an output is not finite");
            throw;
        }
        for (const auto& [name, reference] : expected) {
            // TensorRT multiplies float32 with the mantissa of TF32, so there is no exact precision to hold it to.
            const Tolerance tolerance = tolerance_of(name, reference, "fp16");
            const Difference off = difference(found.at(name), reference);
            if (off.within(tolerance)) continue;
            refuse_off(off.as_text() + "; " + tolerance_text(tolerance));
        }
    }

    [[noreturn]] void refuse_off(const std::string& how) const {
        fail(Status::parity, files_.graph->path, ": TensorRT's engine in ", precision_, " is off: ", how,
             "; nothing was kept, take --engine-precision bf16 or fp32, or dcae engine build");
    }

    const OnnxRuntime& runtime_;
    const GraphFiles& files_;
    SessionOptions options_;
    std::string precision_;
    EngineAxes axes_;
    std::vector<InputProfile> inputs_;
    EngineKey key_;
    EngineCache cache_;
};

}  // namespace

void check(const EngineOptions& engine, Provider provider) {
    const std::vector<std::string> names = {"fp32", "fp16", "bf16", "graph"};
    if (std::find(names.begin(), names.end(), engine.precision) == names.end()) {
        fail(Status::usage, "engine precision ", in_quotes(engine.precision, 80), ": is none of ", joined(names, ", "));
    }
    const EngineOptions none;
    if (provider != Provider::tensorrt && (engine.precision != none.precision || engine.cache != none.cache)) {
        fail(Status::usage, "the precision and cache of engines go with the provider tensorrt");
    }
}

EngineSession open_engine(const OnnxRuntime& runtime, const GraphFiles& files, const SessionOptions& options,
                          const EngineOptions& engine, const Axes& axes, Cancellation& cancellation,
                          const std::function<void()>& files_unchanged) {
    runtime.require_listed(Provider::tensorrt);
    const Opening opening(runtime, files, options, engine, axes);
    return {opening.open(cancellation, files_unchanged), opening.axes()};
}

}  // namespace dcae::core
