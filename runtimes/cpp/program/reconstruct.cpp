// reconstruct: of a picture, or of a folder of them.
#include <filesystem>
#include <limits>
#include <map>
#include <numeric>

#include "commands.hpp"
#include "error.hpp"
#include "files.hpp"
#include "json.hpp"
#include "metrics.hpp"
#include "output.hpp"
#include "picture_file.hpp"
#include "picture_folder.hpp"
#include "picture_options.hpp"
#include "pipeline.hpp"
#include "progress.hpp"
#include "strings.hpp"
#include "runtime_options.hpp"
#include "whole_file.hpp"

namespace dcae::program {
namespace {

namespace fs = std::filesystem;

using core::Cancellation;
using core::Error;
using core::Json;
using core::Pictures;
using core::Pipeline;
using core::Status;

// One picture to reconstruct, what tables call it, and the file to write.
struct Job {
    std::string picture;
    std::string name;
    std::string out;
};

// What became of one picture; without similarity where it is too small for one.
struct Score {
    Job job;
    std::int64_t width = 0;
    std::int64_t height = 0;
    double psnr_db = 0;
    std::optional<double> ssim;
};

// A picture that cannot be read, or is of a size that the bundle does not take, and why.
struct Unreadable {
    std::string picture;
    std::string reason;
};

struct Outcome {
    std::vector<Score> scores;
    std::vector<Unreadable> unreadable;
};

std::vector<Job> picture_jobs(const std::string& picture, const std::string& out, bool force) {
    core::check_picture_target(out, force);
    return {{picture, picture, out}};
}

std::vector<Job> folder_jobs(const std::string& folder, const std::string& out, bool force) {
    std::error_code unknown;
    if (fs::exists(out, unknown) && !core::is_folder(out)) {
        core::fail(Status::input, out, ": is no folder; the pictures of a folder go to one");
    }
    if (lies_in(out, folder)) {
        core::fail(Status::usage, out, ": lies in ", folder,
                   ", so reconstructions would be among its pictures; choose another --out");
    }
    const auto pictures = pictures_in(folder);
    const auto names = names_for(pictures);
    std::vector<Job> jobs;
    std::map<std::string, std::string> writers;
    for (std::size_t i = 0; i < pictures.size(); ++i) {
        const Job job{(fs::path(folder) / pictures[i]).string(), pictures[i], (fs::path(out) / names[i]).string()};
        core::require_free(job.out, force);
        const auto [other, is_first] = writers.emplace(job.out, job.name);
        if (!is_first) {
            core::fail(Status::usage, other->second, " and ", job.name, " would both become ", job.out, "; rename one");
        }
        jobs.push_back(job);
    }
    return jobs;
}

// A bundle, and how pictures are read for it.
struct Reconstructor {
    Pipeline& pipeline;
    core::Fit fit;
    core::Background background;
    bool force;
    Cancellation& cancellation;

    Pictures read(const Job& job) const {
        const Pictures picture = core::read_picture(job.picture, background);
        pipeline.check_size({picture.shape[1], picture.shape[2]}, fit, job.picture);
        // Measured against what the model was given, but for what padding adds.
        return fit == core::Fit::pad ? picture : core::fitted(picture, pipeline.manifest().downsample, fit).picture;
    }

    Score reconstruct(const Job& job, const Pictures& picture) const {
        const Pictures back = pipeline.reconstruct(picture, core::Fit::pad, cancellation);
        core::make_folder_of(job.out);
        core::write_picture(job.out, back, force);
        return {job, picture.shape[2], picture.shape[1], core::psnr_db(picture, back), core::ssim(picture, back)};
    }
};

Outcome reconstruct_folder(const Reconstructor& reconstructor, const std::vector<Job>& jobs) {
    Outcome outcome;
    Progress progress("reconstructing", jobs.size() > 1 ? std::optional(jobs.size()) : std::nullopt);
    for (const auto& job : jobs) {
        // Passed over is only what is the picture's own fault: damaged, or of a size that the bundle does not take.
        std::optional<Pictures> picture;
        try {
            picture = reconstructor.read(job);
            outcome.scores.push_back(reconstructor.reconstruct(job, *picture));
        } catch (const Error& error) {
            const bool is_damaged = !picture && error.status() == Status::input;
            if (!is_damaged && error.status() != Status::usage) throw;
            outcome.unreadable.push_back({job.picture, error.what()});
        }
        progress.advance();
    }
    return outcome;
}

double mean_psnr_db(const std::vector<Score>& scores) {
    if (scores.empty()) return std::numeric_limits<double>::quiet_NaN();
    const auto sum = [](double total, const Score& score) { return total + score.psnr_db; };
    return std::accumulate(scores.begin(), scores.end(), 0.0, sum) / static_cast<double>(scores.size());
}

std::optional<double> mean_ssim(const std::vector<Score>& scores) {
    double total = 0;
    int count = 0;
    for (const auto& score : scores) {
        total += score.ssim.value_or(0);
        count += score.ssim.has_value();
    }
    return count == 0 ? std::nullopt : std::optional(total / count);
}

Json nullable(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }
std::string four_digits(const std::optional<double>& value) { return value ? core::formatted("%.4f", *value) : "-"; }
std::string size_of(const Score& score) { return core::text(score.width, "x", score.height); }

Json content_of(const std::string& bundle, const Outcome& outcome) {
    Json content;
    content["bundle"] = bundle;
    content["pictures"] = Json::array();
    for (const auto& score : outcome.scores) {
        Json one;
        one["picture"] = score.job.picture;
        one["out"] = score.job.out;
        one["sheet"] = nullptr;
        one["width"] = score.width;
        one["height"] = score.height;
        one["psnr_db"] = finite(score.psnr_db);
        one["ssim"] = nullable(score.ssim);
        content["pictures"].push_back(one);
    }
    content["unreadable"] = Json::array();
    for (const auto& [picture, reason] : outcome.unreadable) {
        content["unreadable"].push_back({{"picture", picture}, {"reason", reason}});
    }
    content["mean"]["psnr_db"] = finite(mean_psnr_db(outcome.scores));
    content["mean"]["ssim"] = nullable(mean_ssim(outcome.scores));
    return content;
}

void print_folder(const std::string& out, const Outcome& outcome) {
    const auto& [scores, unreadable] = outcome;
    for (const auto& one : unreadable) print_note("left out: " + one.reason);
    if (!scores.empty()) {
        std::vector<std::vector<std::string>> rows = {{"picture", "size", "PSNR dB", "SSIM"}};
        for (const auto& score : scores) {
            rows.push_back({score.job.name, size_of(score), core::formatted("%.2f", score.psnr_db), four_digits(score.ssim)});
        }
        rows.push_back({core::text("mean of ", scores.size()), "", core::formatted("%.2f", mean_psnr_db(scores)),
                        four_digits(mean_ssim(scores))});
        print_table(rows);
        print_line(out + ": reconstructions");
    }
    if (!unreadable.empty()) {
        print_note(core::text(unreadable.size(), " of ", scores.size() + unreadable.size(), " pictures left out"));
    }
}

}  // namespace

void reconstruct(const Arguments& arguments, Cancellation& cancellation) {
    const auto out = arguments.required("--out");
    const auto& bundle = arguments.positional(0);
    const auto& picture = arguments.positional(1);
    const bool is_folder = core::is_folder(picture);
    const bool force = arguments.flag("--force");
    const auto fit = fit_of(arguments);
    const auto background = background_of(arguments);
    const auto jobs = (is_folder ? folder_jobs : picture_jobs)(picture, out, force);
    Pipeline pipeline(bundle, open_options(arguments));
    const Reconstructor reconstructor{pipeline, fit, background, force, cancellation};
    Outcome outcome;
    if (is_folder) {
        outcome = reconstruct_folder(reconstructor, jobs);
    } else {
        const Progress progress("reconstructing");
        const Pictures image = reconstructor.read(jobs.front());
        outcome.scores = {reconstructor.reconstruct(jobs.front(), image)};
    }
    if (arguments.flag("--json")) {
        print_json(content_of(bundle, outcome));
    } else if (is_folder) {
        print_folder(out, outcome);
    } else {
        const auto& score = outcome.scores.front();
        print_line(out + ": " + size_of(score) + ", PSNR " + core::formatted("%.2f", score.psnr_db) + " dB, SSIM " +
                   four_digits(score.ssim));
    }
    if (outcome.scores.empty()) {
        core::fail(Status::input, picture, ": none of its ", jobs.size(), " pictures could be read");
    }
}

}  // namespace dcae::program
