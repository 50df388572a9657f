"""The file that names an engine is the ONNX that the onnx package would write."""

import onnx
import pytest
from bundle_factory import write_tiny_bundle

from dcae_export.bundle.reader import Bundle
from dcae_export.runtime.engine_context import engine_context


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = write_tiny_bundle(tmp_path_factory.mktemp("context") / "bundle")
    return Bundle.open(path).manifest.graphs["decoder"]


def test_it_is_one_node_that_names_the_engine(graph):
    data = engine_context(graph, engine="a.engine", compute_capability="9.0")
    model = onnx.load_from_string(data)
    (node,) = model.graph.node
    assert (node.domain, node.op_type) == ("com.microsoft", "EPContext")
    assert {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} == {
        "main_context": 1,
        "embed_mode": 0,
        "ep_cache_context": b"a.engine",
        "hardware_architecture": b"90",
    }
    assert {entry.domain: entry.version for entry in model.opset_import} == {
        "": graph.opset,
        "com.microsoft": 1,
    }


def test_its_inputs_and_outputs_are_those_of_the_graph(graph):
    model = onnx.load_from_string(
        engine_context(graph, engine="a.engine", compute_capability="9.0")
    )
    (latent,), (image,) = model.graph.input, model.graph.output
    assert onnx.helper.printable_value_info(latent) == "%latent[FLOAT, batchx4xheightxwidth]"
    assert onnx.helper.printable_value_info(image) == "%image[FLOAT, batchx3x2*heightx2*width]"
    assert list(model.graph.node[0].input) == ["latent"]
    assert list(model.graph.node[0].output) == ["image"]


def test_protobuf_writes_the_same_bytes(graph):
    """Fields in the order of their numbers, which the wire format leaves open."""
    data = engine_context(graph, engine="a" * 300, compute_capability="10.3")
    assert len(onnx.load_from_string(data).SerializeToString()) == len(data)
