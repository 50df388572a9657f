// What can be seen without a bundle, and is nearer to C++ than to the conformance suite.
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "error.hpp"
#include "fit.hpp"
#include "graph_scan.hpp"
#include "json.hpp"
#include "manifest.hpp"
#include "memory.hpp"
#include "metrics.hpp"
#include "noise.hpp"
#include "npy.hpp"
#include "progress.hpp"
#include "sampler.hpp"
#include "sha256.hpp"
#include "strings.hpp"

namespace {

using namespace dcae::core;

int failures = 0;

void expect(bool holds, const std::string& what) {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what.c_str());
    ++failures;
}

// The status of what a piece of work throws; ok where it throws nothing.
Status status_of(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.status();
    }
    return Status::ok;
}

void a_million_normals_have_the_hash_of_the_format() {
    std::vector<float> numbers(1000000);
    normals(42, 0, numbers.size(), numbers.data());
    Sha256 hash;
    hash.add(numbers.data(), numbers.size() * sizeof(float));
    expect(hash.digest() == "dac6b8fa773024b4b3832f9d4c919f9d0215d59b6f92fb07c17e464d0d045b1a", "the noise's hash");
}

void json_is_such_as_a_bundle_has() {
    expect(parse_json(R"({"a": [1, {"b": null}], "c": "x"})").size() == 2, "an object is read");
    const std::vector<std::string> refused = {
        R"({"a": 1, "a": 2})", "{\"a\": NaN}", R"({"a": 1} x)",          "\xEF\xBB\xBF{}", R"({"a": 1e999})",
        R"(["a)",              "",             std::string(5000, '['), "{\"a\": \"\xff\"}"};
    for (const auto& one : refused) {
        expect(status_of([&] { parse_json(one); }) == Status::input, "refused: " + one.substr(0, 30));
    }
}

void float16_is_forecast_as_what_computes_it() {
    Graph graph;
    graph.precision = "fp16";
    graph.activation_bytes = 1000;
    graph.attention_bytes = 10;
    const Axes axes = {{"batch", 2}, {"height", 3}, {"width", 4}};
    // Two layouts; the attention's matrix is float32 in every graph.
    const std::int64_t attention = 2 * 10 * 12 * 12;
    expect(run_bytes(graph, axes, Provider::cuda) == 2 * 2 * 12 * 1000 + attention, "float16 on a GPU");
    expect(run_bytes(graph, axes, Provider::cpu) == 2 * 2 * 2 * 12 * 1000 + attention, "float16 on the processor");
    graph.precision = "fp32";
    expect(run_bytes(graph, axes, Provider::cpu) == 2 * 2 * 12 * 1000 + attention, "float32");
}

void paths_are_plain() {
    for (const char* path : {"a", "golden/a-b.npy", "A_1/b.c/d"}) expect(is_plain_path(path), path);
    for (const char* path : {"", "/a", "a/", "../a", "a/../b", ".a", "-a", "a//b", "a\\b", "a b", "a/.b", "C:a"}) {
        expect(!is_plain_path(path), path);
    }
}

void an_array_header_is_numpys() {
    const float values[] = {1, 2, 3};
    for (const Shape& shape : {Shape{3}, Shape{1, 3}, Shape{3, 1, 1}}) {
        const Bytes file = array_file(values, shape);
        const auto header = parse_array_header(file.data(), file.size());
        expect(header && header->shape == shape && header->dtype == "<f4" && header->start % 64 == 0, "written and read");
        expect(header && file.size() == header->start + sizeof values, "its bytes");
        for (std::size_t size = 0; header && size < header->start; ++size) {
            expect(!parse_array_header(file.data(), size), "a header that was cut is none");
        }
    }
    expect(saturated_product({2147483647, 2147483647, 2147483647}, 4) == INT64_MAX, "no product overflows");
}

void a_line_drives_no_terminal() {
    expect(one_line("a\n b\t\tc ") == "a b c", "white space becomes one space");
    expect(one_line("a\x1b[31m\xE2\x80\xAE") == "a\\x1b[31m\\u202e", "what is not printable is escaped");
    expect(one_line("\xff") == "\\udcff", "and so is what is no UTF-8");
    expect(in_quotes("it's") == "\"it's\"" && in_quotes("a'\"") == "'a\\'\"'", "quotes are chosen");
}

void a_table_begins_where_the_share_is_nearest() {
    Table table;
    table.rows.resize(10);
    for (std::size_t i = 0; i < 10; ++i) {
        table.rows[i].x = {1};
        table.rows[i].base_is_x = true;
        if (i > 0 && i % 2 == 0) table.rows[i].start = {{0.5f, 0.5f}};
    }
    expect(table.start_row(1) == 0 && table.start_row(0.6) == 4 && table.start_row(0.01) == 8, "rows with a start");
    expect(table.start_row(0.5) == 4, "of two equally near ones the earlier");
    expect(status_of([&] { table.start_row(0); }) == Status::usage, "a strength is above 0");
}

void a_state_that_is_not_finite_ends_the_run() {
    Table table;
    table.init = 1;
    table.rows.resize(1);
    table.rows[0].m = {1, 1};
    table.rows[0].x = {0, 3e38f};
    Walk walk;
    walk.network = [](const Floats& state, std::size_t) { return state; };
    walk.noise = [](std::uint64_t) { return Floats({1, 1, 1, 1}, {2.0f}); };
    walk.on_step = [] {};
    expect(status_of([&] { sample(table, walk); }) == Status::parity, "an overflow is found");
}

void a_graph_that_is_none_is_an_error() {
    const std::vector<std::string> files = {std::string("\x3a\xff", 2), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                            "abcdORTM", "\x3a\x7f"};
    for (const auto& file : files) {
        const auto* data = reinterpret_cast<const unsigned char*>(file.data());
        expect(status_of([&] { scan_graph(data, file.size()); }) == Status::input, "no graph");
    }
    expect(is_allowed_operator("Conv") && !is_allowed_operator("RandomNormal"), "operators by name");
}

void pictures_are_brought_to_multiples() {
    Pictures picture({1, 5, 7, 3});
    for (std::size_t i = 0; i < picture.data.size(); ++i) picture.data[i] = static_cast<std::uint8_t>(i);
    const Fitted padded = fitted(picture, 4, Fit::pad);
    expect(padded.picture.shape == Shape({1, 8, 8, 3}) && padded.height == 5 && padded.width == 7, "padded");
    expect(padded.picture.data[3 * 7] == picture.data[3 * 6], "the last column is repeated");
    expect(fitted(picture, 4, Fit::crop).picture.shape == Shape({1, 4, 4, 3}), "cropped");
    expect(status_of([&] { fitted(picture, 8, Fit::crop); }) == Status::input, "nothing is left to crop");
    Pictures grey({1, 9, 11, 3});
    for (auto& level : grey.data) level = 77;
    for (const auto& shape : {Shape{1, 4, 4, 3}, Shape{1, 20, 30, 3}, Shape{1, 20, 4, 3}}) {
        const Pictures scaled = covering(grey, shape[1], shape[2]);
        bool same = scaled.shape == shape;
        for (const auto level : scaled.data) same = same && level == 77;
        expect(same, "a grey picture stays grey");
    }
    Pictures twelve({1, 12, 12, 3});
    expect(ssim(twelve, twelve) == 1.0 && !ssim(picture, picture), "similarity needs a window");
}

void a_line_says_how_far_a_command_is() {
    using dcae::program::Progress;
    std::chrono::steady_clock::time_point now{};
    Progress shown("generating", 100, [&now] { return now; });
    expect(shown.line() == "generating: 0 of 100, 0:00:00 so far", "before the first step");
    now += std::chrono::seconds(75);
    shown.advance();
    expect(shown.line() == "generating: 1 of 100, 0:01:15 so far", "the first step tells nothing of the pace");
    now += std::chrono::seconds(30);
    for (int i = 0; i < 2; ++i) shown.advance();
    expect(shown.line() == "generating: 3 of 100, 0:24:15 left, 0:01:45 so far", "what is left at the pace so far");
    for (int i = 0; i < 97; ++i) shown.advance();
    shown.stage("decoding");
    now += std::chrono::hours(26);
    expect(shown.line() == "decoding, 1 day, 2:01:45 so far", "what follows the last step is not counted");
}

}  // namespace

int main() {
    a_million_normals_have_the_hash_of_the_format();
    json_is_such_as_a_bundle_has();
    float16_is_forecast_as_what_computes_it();
    paths_are_plain();
    an_array_header_is_numpys();
    a_line_drives_no_terminal();
    a_table_begins_where_the_share_is_nearest();
    a_state_that_is_not_finite_ends_the_run();
    a_graph_that_is_none_is_an_error();
    pictures_are_brought_to_multiples();
    a_line_says_how_far_a_command_is();
    if (failures == 0) std::printf("all as expected\n");
    return failures == 0 ? 0 : 1;
}
