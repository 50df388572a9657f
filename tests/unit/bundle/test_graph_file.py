import contextlib
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from bundle_factory import OPSET, tensor_outside, tiny_model
from google.protobuf.message import DecodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from dcae_export.bundle.graph_file import MAX_GRAPH_DEPTH, ExternalData, scan
from dcae_export.errors import BundleError


def _graph(*tensors: TensorProto, nodes: tuple[onnx.NodeProto, ...] = ()) -> onnx.GraphProto:
    return helper.make_graph(nodes, "part", [], [], tensors)


def _sparse(location: str) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(
        values=tensor_outside(location), indices=tensor_outside(f"{location}.index")
    )


def _rich_model() -> onnx.ModelProto:
    """A model with external data and an operator in every place that can hold them."""
    model = tiny_model(np.zeros((12, 4, 1, 1), np.float32))
    model.graph.sparse_initializer.append(_sparse("sparse"))
    attributes = {
        "t": tensor_outside("tensor"),
        "ts": [tensor_outside("tensors")],
        "s": _sparse("attribute.sparse"),
        "ss": [_sparse("attribute.sparses")],
        "g": _graph(tensor_outside("subgraph"), nodes=(helper.make_node("Deep", [], []),)),
        "gs": [_graph(tensor_outside("subgraphs"))],
    }
    model.graph.node.append(helper.make_node("Many", [], [], domain="other", **attributes))
    function = helper.make_function(
        "pack",
        "Packed",
        [],
        [],
        [helper.make_node("Inner", [], [], t=tensor_outside("function"))],
        [helper.make_opsetid("", OPSET)],
    )
    function.attribute_proto.append(helper.make_attribute("d", tensor_outside("function.default")))
    model.functions.append(function)
    model.training_info.add(
        initialization=_graph(tensor_outside("initialization")),
        algorithm=_graph(tensor_outside("algorithm")),
    )
    return model


RICH = _rich_model().SerializeToString()


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else (value,):
                yield from _messages(child)


def _seen_by_onnx(data: bytes) -> tuple[set[str], set[tuple[str, str]]]:
    parts = list(_messages(onnx.ModelProto.FromString(data)))
    tensors = [part for part in parts if isinstance(part, TensorProto)]
    entries = [entry for tensor in tensors for entry in tensor.external_data]
    operators = {(n.domain, n.op_type) for n in parts if isinstance(n, onnx.NodeProto)}
    return {entry.value for entry in entries if entry.key == "location"}, operators


def _seen_by_scan(data: bytes) -> tuple[set[str], set[tuple[str, str]]]:
    found = scan(data)
    return {external.location for external in found.external}, set(found.operators)


def test_a_scan_finds_what_onnx_finds_in_every_place() -> None:
    locations, operators = _seen_by_scan(RICH)
    assert (locations, operators) == _seen_by_onnx(RICH)
    assert len(locations) == 15
    assert operators >= {("other", "Many"), ("", "Deep"), ("", "Inner")}


def test_a_scan_reads_metadata_opsets_and_extents() -> None:
    found = scan(tiny_model(np.zeros((12, 4, 1, 1), np.float32)).SerializeToString())
    assert found.external == (ExternalData("decoder.onnx.data", 4096, 192),)
    assert found.metadata["dcae.format_version"] == "1"
    assert found.opsets == {"": OPSET}


@settings(max_examples=100, deadline=None, database=None)
@given(st.integers(0, len(RICH) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_file_is_read_as_onnx_reads_it_or_is_an_error(at: int, patch: bytes) -> None:
    data = RICH[:at] + patch + RICH[at + len(patch) :]
    try:
        found = _seen_by_scan(data)
    except BundleError:
        return
    try:
        expected = _seen_by_onnx(data)
    except (DecodeError, UnicodeDecodeError):
        return
    assert found == expected


@settings(max_examples=100, deadline=None, database=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_model_or_an_error_of_ours(data: bytes) -> None:
    with contextlib.suppress(BundleError):
        scan(data)


def _nested(depth: int) -> bytes:
    graph = onnx.GraphProto()
    for _ in range(depth - 1):
        graph = _graph(nodes=(helper.make_node("If", [], [], then_branch=graph),))
    return onnx.ModelProto(graph=graph).SerializeToString()


def test_nesting_is_bounded() -> None:
    scan(_nested(MAX_GRAPH_DEPTH))
    with pytest.raises(BundleError, match="nested more than 32 deep"):
        scan(_nested(MAX_GRAPH_DEPTH + 1))


def test_the_number_of_fields_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcae_export.bundle.graph_file.MAX_FIELDS", 10)
    with pytest.raises(BundleError, match="more than 10 fields"):
        scan(RICH)


def _entries(**values: str) -> onnx.ModelProto:
    tensor = TensorProto()
    for key, value in values.items():
        tensor.external_data.add(key=key, value=value)
    return onnx.ModelProto(graph=_graph(tensor))


@pytest.mark.parametrize("size", ["-1", "+1", " 1", "1_0", "0x10", "1e3", "", "٣", "9" * 19])
def test_a_size_that_parsers_read_differently_is_an_error(size: str) -> None:
    model = _entries(location="data", offset=size)
    with pytest.raises(BundleError, match="external data has the size"):
        scan(model.SerializeToString())


def test_an_unknown_key_of_external_data_is_an_error() -> None:
    with pytest.raises(BundleError, match="unknown key 'basepath'"):
        scan(_entries(location="data", basepath="/").SerializeToString())


def test_external_data_needs_a_location() -> None:
    with pytest.raises(BundleError, match="no location"):
        scan(_entries(offset="0").SerializeToString())


def test_two_locations_of_one_weight_are_an_error() -> None:
    model = _entries(location="data")
    model.graph.initializer[0].external_data.add(key="location", value="other")
    with pytest.raises(BundleError, match="'location' twice"):
        scan(model.SerializeToString())


def test_two_values_of_one_attribute_are_an_error() -> None:
    """Parsers merge them, so that a location and its offset may come from different places."""
    attribute = helper.make_attribute("t", tensor_outside("data")).SerializeToString()
    node = onnx.NodeProto(op_type="Constant").SerializeToString()
    both = attribute + onnx.AttributeProto(t=TensorProto(name="x")).SerializeToString()
    node += b"\x2a" + bytes([len(both)]) + both
    graph = b"\x0a" + bytes([len(node)]) + node
    with pytest.raises(BundleError, match="attribute repeats field 5"):
        scan(b"\x3a" + bytes([len(graph)]) + graph)


def test_a_field_that_onnx_does_not_define_is_an_error() -> None:
    with pytest.raises(BundleError, match="model has an unknown field 99"):
        scan(RICH + b"\x9a\x06\x00")


def test_onnx_runtimes_own_format_in_an_onnx_file_is_an_error() -> None:
    model = onnx.ModelProto(producer_name="..ORTM", graph=_graph())
    data = model.SerializeToString()
    assert data[4:8] == b"ORTM"
    with pytest.raises(BundleError, match="own format"):
        scan(data)


def test_the_long_name_of_onnxs_domain_is_its_short_name() -> None:
    model = onnx.ModelProto(graph=_graph(nodes=(helper.make_node("Add", [], []),)))
    model.graph.node[0].domain = "ai.onnx"
    assert scan(model.SerializeToString()).operators == {("", "Add")}
