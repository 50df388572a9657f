#include "parity.hpp"

#include "error.hpp"

namespace dcae::core {
std::vector<Measurement> measure_parity(Pipeline& pipeline, Cancellation& cancellation) {
    std::vector<Measurement> measured;
    const Bundle& bundle = pipeline.bundle();
    for (const auto& golden : bundle.manifest().golden) {
        const Graph& graph = *bundle.manifest().graph(golden.graph);
        Named inputs;
        Named expected;
        for (const auto& port : graph.inputs) inputs.emplace(port.name, bundle.array(golden.inputs.at(port.name), port));
        for (const auto& port : graph.outputs) expected.emplace(port.name, bundle.array(golden.outputs.at(port.name), port));
        const auto label = text("ONNX Runtime ", pipeline.runtime().version(), " ", name_of(pipeline.options().provider));
        const Named results = pipeline.run(golden.graph, inputs, cancellation);
        for (const auto& [name, reference] : expected) {
            if (shape_of(results.at(name)) != shape_of(reference)) {
                fail(Status::input, golden.outputs.at(name), ": has the shape ", shape_text(shape_of(reference)),
                     ", the graph gives ", shape_text(shape_of(results.at(name))), "; export the bundle again");
            }
            measured.push_back({golden.graph, label, difference(results.at(name), reference),
                                tolerance_of(name, reference, graph.precision)});
        }
        pipeline.release();
    }
    return measured;
}

}  // namespace dcae::core
