#include "pipeline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "error.hpp"
#include "guidance.hpp"
#include "memory.hpp"
#include "noise.hpp"
#include "npy.hpp"
#include "pixels.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

constexpr double kFloat32Max = 3.4028234663852886e38;
// Rows of one call share the reading of the weights; the memory of a run grows with them.
constexpr std::int64_t kImagesPerCall = 4;
// A picture is there as it was decoded and among all of them; then among all, in the sheet, turned for the file, and as
// the file has it.
constexpr std::int64_t kCopiesDecoded = 2;
constexpr std::int64_t kCopiesWritten = 4;
// Of the latent's size, for each row of a call: the state, its base, sixteen entries of history, what a step makes.
constexpr std::int64_t kArraysPerRow = 24;

bool all_finite(const Floats& array) {
    return std::all_of(array.data.begin(), array.data.end(), [](float value) { return std::isfinite(value); });
}

// Entries `first` to `last` along the first axis.
Floats slice(const Floats& array, std::size_t first, std::size_t last) {
    Shape shape = array.shape;
    shape[0] = static_cast<std::int64_t>(last - first);
    const auto size = static_cast<std::ptrdiff_t>(array.row_size());
    const auto begin = array.data.begin();
    const auto row = [begin, size](std::size_t index) { return begin + static_cast<std::ptrdiff_t>(index) * size; };
    return {std::move(shape), {row(first), row(last)}};
}

// The rows of a run over so many: a graph of a fixed batch runs full.
std::size_t rows_of_run(const Graph* graph, std::size_t rows) {
    const auto fixed = graph == nullptr ? std::nullopt : graph->fixed_rows();
    return rows == 0 ? 0 : std::max(rows, static_cast<std::size_t>(fixed.value_or(0)));
}

// The first `rows` entries along the first axis; the last one is repeated where there are fewer.
template <typename Element>
Array<Element> in_rows(Array<Element> array, std::size_t rows) {
    if (array.rows() == rows) return array;
    return with_rows(array, rows);
}

template <typename Element>
void append(Array<Element>& all, const Array<Element>& part, std::size_t rows) {
    if (all.shape.empty()) {
        all.shape = part.shape;
        all.shape[0] = 0;
    }
    all.shape[0] += static_cast<std::int64_t>(rows);
    all.data.insert(all.data.end(), part.data.begin(),
                    part.data.begin() + static_cast<std::ptrdiff_t>(rows * part.row_size()));
}

std::int64_t nearest_multiple(std::int64_t side, std::int64_t factor) {
    const auto half = side / factor;
    const auto rest = side % factor;
    // To even where both are equally near, as Python rounds.
    const bool up = 2 * rest > factor || (2 * rest == factor && half % 2 == 1);
    return std::max<std::int64_t>(1, half + (up ? 1 : 0)) * factor;
}

}  // namespace

Pipeline::Pipeline(const std::string& path, OpenOptions options)
    : options_(std::move(options)), bundle_(path, options_.verify_hashes), keeps_(options_.keep_sessions) {}

const OnnxRuntime& Pipeline::runtime() {
    if (!runtime_) runtime_ = std::make_unique<OnnxRuntime>(options_.onnxruntime);
    return *runtime_;
}

const Session& Pipeline::session(const std::string& name, const Axes& axes, Cancellation& cancellation) {
    auto& open = sessions_[name];
    if (open.session && takes(open.axes, axes)) return *open.session;
    // Before another engine of the graph takes the GPU's memory.
    open = {};
    EngineSession opened;
    const GraphFiles files = bundle_.check_graph(name);
    SessionOptions options;
    options.provider = options_.provider;
    options.threads = options_.threads;
    options.memory_limit = options_.memory_limit;
    if (options_.provider == Provider::tensorrt) {
        opened = open_engine(runtime(), files, options, options_.engine, axes, cancellation,
                             [&] { bundle_.check_graph(name); });
    } else {
        opened.session = std::make_unique<Session>(runtime(), files, options);
    }
    opened.session->require_placement();
    open = std::move(opened);
    return *open.session;
}

const Session& Pipeline::session(const std::string& name, const Named& inputs, Cancellation& cancellation) {
    const Graph* graph = manifest().graph(name);
    return session(name, graph == nullptr ? Axes{} : checked_axes(*graph, inputs), cancellation);
}

void Pipeline::release() {
    sessions_.clear();
    return_free_memory();
}

void Pipeline::release_unless_kept() {
    if (!keeps_) release();
}

Size Pipeline::default_size() const {
    require_transformer();
    const auto [rows, columns] = manifest().default_grid();
    return {manifest().downsample * rows, manifest().downsample * columns};
}

std::size_t Pipeline::evaluations(const Request& request) const {
    require_transformer();
    const Table& rows = table(request.sampler).table;
    const auto images = static_cast<std::int64_t>(request.labels.size());
    const bool guided = is_guided(weight(request));
    const auto per_call = images_per_call(images, checked_grid(request, guided), guided);
    const auto first = request.image ? rows.start_row(request.strength) : 0;
    return static_cast<std::size_t>((images + per_call - 1) / per_call) * (rows.rows.size() - first);
}

Size Pipeline::checked_size(const Request& request) const {
    require_transformer();
    const auto [rows, columns] = checked_grid(request, is_guided(weight(request)));
    return {manifest().downsample * rows, manifest().downsample * columns};
}

Pictures Pipeline::generate(const Request& request, Cancellation& cancellation) {
    check_decoder();
    require_room(request);
    return decode_scaled(sample(request, cancellation), cancellation, request.on_picture);
}

// The sampling may take minutes, which a damaged decoder would waste.
void Pipeline::check_decoder() {
    require_transformer();
    if (has_checked_decoder_) return;
    bundle_.check_graph("decoder");
    has_checked_decoder_ = true;
}

Floats Pipeline::sample(const Request& request, Cancellation& cancellation) {
    require_transformer();
    const auto numbers = label_numbers(request.labels, *manifest().conditioning);
    const NamedTable& sampler = table(request.sampler);
    const double guidance = weight(request);
    const bool guided = is_guided(guidance);
    const Grid grid = checked_grid(request, guided);
    const std::size_t images = request.labels.size();
    const auto per_call = static_cast<std::size_t>(images_per_call(static_cast<std::int64_t>(images), grid, guided));
    keeps_ = options_.keep_sessions && holds_both(grid, static_cast<std::int64_t>(per_call) * (guided ? 2 : 1));
    const Shape shape = {manifest().channels, grid.first, grid.second};
    if (request.latents) {
        const Shape wanted = {static_cast<std::int64_t>(images), shape[0], shape[1], shape[2]};
        if (request.latents->shape != wanted) {
            fail(Status::usage, "latents of shape ", shape_text(request.latents->shape), ", this request takes ",
                 shape_text(wanted));
        }
    }
    std::optional<Floats> features;
    if (sampler.time_features) features = bundle_.time_features(sampler);
    std::size_t first_row = 0;
    std::optional<Floats> start;
    if (request.image) {
        first_row = sampler.table.start_row(request.strength);
        start = encoded(*request.image, grid, cancellation);
    }
    const std::size_t count = (images + per_call - 1) / per_call * (sampler.table.rows.size() - first_row);
    std::size_t done = 0;

    Floats drawn;
    try {
        const auto rows = static_cast<std::int64_t>(per_call) * (guided ? 2 : 1);
        const auto axes = manifest().graph("transformer")->latent_axes(rows, shape[0], shape[1], shape[2]);
        const Session& transformer = session("transformer", axes.value_or(Axes{}), cancellation);
        for (std::size_t at = 0; at < images; at += per_call) {
            const std::size_t end = std::min(images, at + per_call);
            GuidedNetwork network{transformer, cancellation};
            if (numbers) {
                network.labels.emplace(numbers->begin() + static_cast<std::ptrdiff_t>(at),
                                       numbers->begin() + static_cast<std::ptrdiff_t>(end));
            }
            if (guided) network.null_label = manifest().conditioning->null_label;
            network.guidance = static_cast<float>(guidance);
            network.with_variance = sampler.table.learned_variance();
            network.time_features = features ? &*features : nullptr;

            std::optional<Floats> init;
            if (start) init = with_rows(*start, end - at);
            Walk walk;
            walk.network = [&](const Floats& state, std::size_t index) {
                return network(state, sampler.table.rows[index].t, index);
            };
            walk.noise = [&](std::uint64_t stream) {
                if (stream == 0 && request.latents) return slice(*request.latents, at, end);
                Floats noise({static_cast<std::int64_t>(end - at), shape[0], shape[1], shape[2]});
                const std::size_t size = noise.row_size();
                for (std::size_t i = at; i < end; ++i) {
                    normals(request.seed + i, stream, size, noise.data.data() + (i - at) * size);
                }
                return noise;
            };
            walk.on_step = [&] {
                ++done;
                cancellation.check();
                if (request.on_step && !request.on_step(done, count)) {
                    fail(Status::cancelled, "stopped after ", done, " of ", count, " evaluations");
                }
            };
            walk.init_latent = init ? &*init : nullptr;
            walk.first_row = first_row;
            append(drawn, core::sample(sampler.table, walk), end - at);
        }
    } catch (...) {
        release_unless_kept();
        throw;
    }
    release_unless_kept();
    return drawn;
}

Pictures Pipeline::decode_scaled(const Floats& latents, Cancellation& cancellation, const OnStep& on_picture) {
    require_transformer();
    const auto factor = static_cast<float>(*manifest().scaling_factor);
    const auto shift = static_cast<float>(manifest().shift);
    Floats raw = latents;
    for (auto& value : raw.data) value = value / factor + shift;
    if (!all_finite(raw)) fail(Status::parity, "the latents are not finite; nothing was written");
    const auto rows = static_cast<std::size_t>(manifest().graph("decoder")->fixed_rows().value_or(1));
    Pictures pictures;
    try {
        for (std::size_t at = 0; at < raw.rows(); at += rows) {
            const std::size_t end = std::min(raw.rows(), at + rows);
            const Pictures decoded = decode(slice(raw, at, end), cancellation);
            // At once, where it would be copied each time it grows.
            if (at == 0) pictures.data.reserve(raw.rows() * decoded.row_size());
            append(pictures, decoded, end - at);
            if (on_picture && !on_picture(end, raw.rows())) {
                fail(Status::cancelled, "stopped after ", end, " of ", raw.rows(), " pictures");
            }
        }
    } catch (...) {
        release_unless_kept();
        throw;
    }
    release_unless_kept();
    return pictures;
}

void Pipeline::check_size(Size size, Fit mode, const std::string& name) const {
    const Graph* encoder = manifest().graph("encoder");
    if (encoder == nullptr) return;
    const auto bounds_of = [encoder](const Dim& dim) {
        const AxisRange range = dim.is_fixed() ? AxisRange{1, 1} : encoder->ranges.at(dim.axis);
        return AxisRange{saturated_product({dim.size, range.min}), saturated_product({dim.size, range.max})};
    };
    const std::size_t first = manifest().uint8_images ? 1 : 2;
    const auto& shape = encoder->inputs.at(0).shape;
    const AxisRange heights = bounds_of(shape.at(first));
    const AxisRange widths = bounds_of(shape.at(first + 1));
    const auto [height, width] = fitted_size(size.height, size.width, manifest().downsample, mode);
    // Too small a picture to crop is refused by `fitted`.
    if (height == 0 || width == 0) return;
    const auto holds = [](const AxisRange& range, std::int64_t side) { return side >= range.min && side <= range.max; };
    if (holds(heights, height) && holds(widths, width)) return;
    const auto least = text(widths.min, "x", heights.min);
    const auto most = text(widths.max, "x", heights.max);
    const auto taken = least == most
                           ? "of " + least + " alone; scale or crop it to that, or export a bundle without --size"
                           : "from " + least + " to " + most + "; scale or crop it to one";
    fail(Status::usage, name.empty() ? "" : name + ": ", size.width, "x", size.height, ": this bundle takes pictures ",
         taken);
}

Floats Pipeline::encode(const Pictures& pictures, Cancellation& cancellation) {
    const auto factor = manifest().downsample;
    if (pictures.shape[1] % factor != 0 || pictures.shape[2] % factor != 0) {
        fail(Status::usage, pictures.shape[2], "x", pictures.shape[1], " is no multiple of ", factor,
             "; pad, crop or resize it first");
    }
    check_size({pictures.shape[1], pictures.shape[2]}, Fit::pad);
    Pictures full = in_rows(pictures, rows_of_run(manifest().graph("encoder"), pictures.rows()));
    Named inputs;
    if (manifest().uint8_images) {
        inputs.emplace("image", std::move(full));
    } else {
        inputs.emplace("image", to_tensor(full));
    }
    Named outputs = session("encoder", inputs, cancellation).run(inputs, cancellation);
    return in_rows(std::get<Floats>(std::move(outputs.at("latent"))), pictures.rows());
}

Pictures Pipeline::decode(const Floats& latent, Cancellation& cancellation) {
    Named inputs;
    inputs.emplace("latent", in_rows(latent, rows_of_run(manifest().graph("decoder"), latent.rows())));
    AnyArray image = std::move(session("decoder", inputs, cancellation).run(inputs, cancellation).at("image"));
    auto* levels = std::get_if<Pictures>(&image);
    return in_rows(levels != nullptr ? std::move(*levels) : to_levels(std::get<Floats>(image)), latent.rows());
}

Pictures Pipeline::reconstruct(const Pictures& picture, Fit mode, Cancellation& cancellation) {
    check_size({picture.shape[1], picture.shape[2]}, mode);
    const Fitted whole = fitted(picture, manifest().downsample, mode);
    return cropped(decode(encode(whole.picture, cancellation), cancellation), whole.height, whole.width);
}

Named Pipeline::run(const std::string& graph, const Named& inputs, Cancellation& cancellation) {
    return session(graph, inputs, cancellation).run(inputs, cancellation);
}

void Pipeline::require_transformer() const {
    if (!manifest().samplers) {
        fail(Status::input, bundle_.path(),
             ": holds no transformer, so it cannot generate; export it with --transformer");
    }
}

const NamedTable& Pipeline::table(const std::optional<std::string>& sampler) const {
    const Samplers& samplers = *manifest().samplers;
    const auto name = sampler.value_or(samplers.default_name);
    const NamedTable* found = samplers.find(name);
    if (found == nullptr) {
        std::vector<std::string> names;
        for (const auto& one : samplers.tables) names.push_back(one.name);
        fail(Status::usage, "sampler ", in_quotes(name), ": this bundle has ", joined(names, ", "), "; dcae samplers ",
             bundle_.path(), " --add NAME:N adds one");
    }
    return *found;
}

double Pipeline::weight(const Request& request) const {
    const double weight = request.guidance.value_or(manifest().samplers->default_guidance);
    if (!(weight >= 0 && weight <= kFloat32Max)) {
        fail(Status::usage, "guidance ", weight, ": a weight is a number from 0; 1 runs without");
    }
    return weight;
}

bool Pipeline::is_guided(double weight) const { return manifest().conditioning->num_classes && weight != 1; }

// As many as the memory holds.
std::int64_t Pipeline::images_per_call(std::int64_t images, Grid grid, bool guided) const {
    const Graph& transformer = *manifest().graph("transformer");
    const std::int64_t rows = guided ? 2 : 1;
    if (const auto fixed = transformer.fixed_rows()) return *fixed / rows;
    const auto most = transformer.ranges.at("batch").max / rows;
    auto count = std::min({std::max<std::int64_t>(images, 1), kImagesPerCall, most});
    const auto available = available_memory(options_.provider, options_.memory_limit);
    while (count > 1 && forecast(grid, count * rows).value_or(Needs{}).largest > available) --count;
    return count;
}

Pipeline::Grid Pipeline::checked_grid(const Request& request, bool guided) const {
    const Size size = request.size.value_or(default_size());
    const auto factor = manifest().downsample;
    if (size.height <= 0 || size.width <= 0 || size.height % factor != 0 || size.width % factor != 0) {
        fail(Status::usage, size.width, "x", size.height, ": sides are multiples of ", factor, "; the nearest is ",
             nearest_multiple(size.width, factor), "x", nearest_multiple(size.height, factor));
    }
    const Grid grid{size.height / factor, size.width / factor};
    for (const char* name : {"transformer", "decoder"}) {
        if (!manifest().graph(name)->latent_axes(1, manifest().channels, grid.first, grid.second)) {
            const Size own = default_size();
            fail(Status::usage, size.width, "x", size.height, ": this bundle makes ", own.width, "x", own.height,
                 "; export one with --interpolate-positions (U-ViT) or --size");
        }
    }
    const auto per_call = images_per_call(static_cast<std::int64_t>(request.labels.size()), grid, guided);
    require_memory_for(grid, per_call * (guided ? 2 : 1));
    return grid;
}

void Pipeline::require_memory_for(Grid grid, std::int64_t rows) const {
    const auto available = available_memory(options_.provider, options_.memory_limit);
    // One session is alive at a time where both do not fit.
    const auto needs = forecast(grid, rows);
    if (!needs || needs->largest <= available) return;
    const auto factor = manifest().downsample;
    const auto side = factor * fitting_side(std::max(grid.first, grid.second), rows, available);
    const std::string none_fits = available == options_.memory_limit ? "no size fits; raise it" : "no size fits; close other programs";
    const auto fitting = side > 0 ? text("up to ", side, "x", side, " fit") : none_fits;
    fail(Status::resource, factor * grid.second, "x", factor * grid.first, " needs ", memory_text(needs->largest),
         " of memory, ", there_text(available, options_.memory_limit), ": ", fitting);
}

// Pictures are held until all of them are written, beside the decoder where that is in the same memory.
void Pipeline::require_room(const Request& request) const {
    const auto images = static_cast<std::int64_t>(request.labels.size());
    if (images < 2) return;
    const bool guided = is_guided(weight(request));
    const Grid grid = checked_grid(request, guided);
    const auto factor = manifest().downsample;
    const auto height = factor * grid.first;
    const auto width = factor * grid.second;
    const Shape held = {images, 3, height, width};
    auto needed = saturated_product(held, kCopiesWritten);
    const bool on_cpu = options_.provider == Provider::cpu;
    const auto limit = on_cpu ? options_.memory_limit : std::nullopt;
    if (on_cpu) {
        const auto decoder = forecast(grid, 1).value_or(Needs{}).decoder;
        needed = std::max(needed, saturated_sum(saturated_product(held, kCopiesDecoded), decoder));
    }
    const auto available = available_memory(Provider::cpu, limit);
    if (needed <= available) return;
    fail(Status::resource, images, " pictures of ", width, "x", height, " need ", memory_text(needed),
         " of memory until they are written, ", there_text(available, limit), "; ",
         available == limit ? "raise it" : "close other programs", " or make fewer at a time");
}

std::int64_t Pipeline::fitting_side(std::int64_t below, std::int64_t rows, std::int64_t available) const {
    const std::int64_t patch = manifest().graph("transformer")->inputs.at(0).shape.at(3).size;
    // What is needed grows with the side.
    std::int64_t fits = 0;
    std::int64_t too_large = (below + patch - 1) / patch;
    while (too_large - fits > 1) {
        const auto middle = fits + (too_large - fits) / 2;
        const auto needs = forecast({middle * patch, middle * patch}, rows);
        (needs && needs->largest <= available ? fits : too_large) = middle;
    }
    return fits * patch;
}

bool Pipeline::holds_both(Grid grid, std::int64_t rows) const {
    const auto needs = forecast(grid, rows);
    return !needs || needs->total <= available_memory(options_.provider, options_.memory_limit);
}

std::optional<Pipeline::Needs> Pipeline::forecast(Grid grid, std::int64_t rows) const {
    const auto latent = saturated_product({rows, 4, manifest().channels, grid.first, grid.second}, kArraysPerRow);
    Needs needs;
    const std::pair<const char*, std::int64_t> batches[] = {{"transformer", rows}, {"decoder", 1}};
    for (const auto& [name, batch] : batches) {
        const Graph& graph = *manifest().graph(name);
        const auto axes = graph.latent_axes(batch, manifest().channels, grid.first, grid.second);
        if (!axes) return std::nullopt;
        auto stored = manifest().files.at(graph.path).bytes;
        for (const auto& path : graph.data) stored = saturated_sum(stored, manifest().files.at(path).bytes);
        const auto weights = saturated_product({widening(graph, options_.provider)}, stored);
        auto needed = saturated_sum(run_bytes(graph, *axes, options_.provider), weights);
        if (graph.inputs.size() > 1) needed = saturated_sum(needed, latent);
        needs.total = saturated_sum(needs.total, needed);
        needs.largest = std::max(needs.largest, needed);
        needs.decoder = needed;
    }
    return needs;
}

Floats Pipeline::encoded(const Pictures& image, Grid grid, Cancellation& cancellation) {
    const auto factor = manifest().downsample;
    if (image.shape[1] != factor * grid.first || image.shape[2] != factor * grid.second) {
        fail(Status::usage, "a picture of ", image.shape[2], "x", image.shape[1], ", the request is for ",
             factor * grid.second, "x", factor * grid.first, "; fit it first");
    }
    Floats raw;
    try {
        raw = encode(image, cancellation);
    } catch (...) {
        release_unless_kept();
        throw;
    }
    release_unless_kept();
    const auto scale = static_cast<float>(*manifest().scaling_factor);
    const auto shift = static_cast<float>(manifest().shift);
    for (auto& value : raw.data) value = (value - shift) * scale;
    return raw;
}

}  // namespace dcae::core
