"""ONNX weights that lie where they must not (P5): before any ONNX library sees the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundle_factory import (
    edit_manifest,
    edit_model,
    place_outside,
    replace_file,
    tensor_outside,
    write_tiny_bundle,
)
from onnx import TensorProto, helper

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BundleError, RefusedError

Place = Callable[[onnx.ModelProto, TensorProto], object]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def _refused(bundle: Path) -> str:
    # Without hashing, because a hash protects nobody from who wrote the manifest.
    with pytest.raises(RefusedError, match=r"decoder\.onnx: weights at .* does not list") as caught:
        Bundle.open(bundle, verify_hashes=False).check_graph("decoder")
    return str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        "/etc/passwd",
        "../outside",
        "golden/../decoder.onnx.data",
        "./decoder.onnx.data",
        "decoder.onnx.data\x00",
        "DECODER.onnx.data",
        "",
        "golden\\..\\..\\outside",
        "*/_ORT_MEM_ADDR_/*",
        "file:///etc/passwd",
    ],
)
def test_a_weight_outside_the_bundle_is_refused(bundle: Path, location: str) -> None:
    edit_model(bundle, lambda model: place_outside(model.graph.initializer[0], location))
    assert repr(location) in _refused(bundle)


@pytest.mark.parametrize("location", ["golden/latent.npy", "manifest.json", "decoder.onnx"])
def test_a_weight_in_a_file_that_is_not_this_graphs_data_is_refused(
    bundle: Path, location: str
) -> None:
    edit_model(bundle, lambda model: place_outside(model.graph.initializer[0], location))
    _refused(bundle)


def test_a_weight_in_a_file_that_is_not_listed_is_refused(bundle: Path) -> None:
    (bundle / "extra.data").write_bytes(bytes(8192))
    edit_model(bundle, lambda model: place_outside(model.graph.initializer[0], "extra.data"))
    _refused(bundle)


def test_the_mark_external_is_not_needed_to_be_refused(bundle: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        tensor = place_outside(model.graph.initializer[0], "../outside")
        tensor.ClearField("data_location")

    edit_model(bundle, edit)
    _refused(bundle)


def _constant(**value: object) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["constant"], **value)


def _subgraph(tensor: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "subgraph", [], [], [tensor])


def _sparse(tensor: TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=tensor)


def _function(node: onnx.NodeProto) -> onnx.FunctionProto:
    return helper.make_function("pack", "Packed", [], [], [node], [helper.make_opsetid("", 18)])


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(lambda m, t: m.graph.initializer.append(t), id="initializer"),
        pytest.param(
            lambda m, t: m.graph.sparse_initializer.append(_sparse(t)), id="sparse initializer"
        ),
        pytest.param(lambda m, t: m.graph.node.append(_constant(value=t)), id="attribute"),
        pytest.param(lambda m, t: m.graph.node.append(_constant(values=[t])), id="attribute list"),
        pytest.param(
            lambda m, t: m.graph.node.append(_constant(sparse_value=_sparse(t))),
            id="sparse attribute",
        ),
        pytest.param(lambda m, t: m.graph.node.append(_constant(body=_subgraph(t))), id="subgraph"),
        pytest.param(
            lambda m, t: m.graph.node.append(_constant(bodies=[_subgraph(t)])), id="subgraphs"
        ),
        pytest.param(lambda m, t: m.functions.append(_function(_constant(value=t))), id="function"),
        pytest.param(
            lambda m, t: m.functions.append(_function(_constant(body=_subgraph(t)))),
            id="subgraph of a function",
        ),
        pytest.param(lambda m, t: m.training_info.add(algorithm=_subgraph(t)), id="training graph"),
    ],
)
def test_a_weight_outside_is_refused_wherever_a_graph_can_hold_one(
    bundle: Path, place: Place
) -> None:
    edit_model(bundle, lambda model: place(model, tensor_outside("../outside")))
    _refused(bundle)


@pytest.mark.parametrize(
    ("offset", "length"), [(4096, 193), (4288, 1), (2**40, 1), (4289, 0), (0, 2**59)]
)
def test_a_weight_beyond_its_files_end_is_an_error(bundle: Path, offset: int, length: int) -> None:
    edit_model(
        bundle,
        lambda model: place_outside(model.graph.initializer[0], offset=offset, length=length),
    )
    with pytest.raises(BundleError, match=r"weights up to byte \d+ of decoder\.onnx\.data"):
        Bundle.open(bundle).check_graph("decoder")


def test_an_offset_beyond_the_files_end_is_an_error_without_a_length(bundle: Path) -> None:
    edit_model(bundle, lambda model: place_outside(model.graph.initializer[0], offset=4289))
    with pytest.raises(BundleError, match="weights up to byte 4289"):
        Bundle.open(bundle).check_graph("decoder")


@pytest.mark.parametrize("name", ["If", "Loop", "RandomNormal", "Bernoulli", "Multinomial", "X"])
def test_an_operator_that_no_bundle_uses_is_refused_in_a_function_too(
    bundle: Path, name: str
) -> None:
    node = helper.make_node(name, [], [])
    edit_model(bundle, lambda model: model.functions.append(_function(node)))
    with pytest.raises(RefusedError, match=f"operator '{name}' is not one"):
        Bundle.open(bundle).check_graph("decoder")


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 64, b"<html>" * 20, bytes(100)])
def test_a_file_that_is_no_graph_is_an_error(bundle: Path, data: bytes) -> None:
    replace_file(bundle, "decoder.onnx", data)
    with pytest.raises(BundleError, match=r"decoder\.onnx: "):
        Bundle.open(bundle).check_graph("decoder")


def test_a_truncated_graph_is_an_error_at_every_length(bundle: Path) -> None:
    whole = (bundle / "decoder.onnx").read_bytes()
    for length in range(0, len(whole), 7):
        replace_file(bundle, "decoder.onnx", whole[:length])
        with pytest.raises(BundleError, match=r"decoder\.onnx: "):
            Bundle.open(bundle).check_graph("decoder")


def test_a_graph_of_more_bytes_than_protobuf_can_hold_is_not_read(bundle: Path) -> None:
    size = 2**31
    with (bundle / "decoder.onnx").open("r+b") as file:
        file.truncate(size)
    edit_manifest(bundle, lambda content: content["files"]["decoder.onnx"].update(bytes=size))
    with pytest.raises(BundleError, match="at most 2147483647 are read"):
        Bundle.open(bundle).check_graph("decoder")


def test_a_golden_file_with_a_pickle_is_an_error_and_runs_nothing(bundle: Path) -> None:
    canary = bundle.parent / "canary"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (canary,)

    np.save(bundle / "golden" / "latent.npy", np.array([Payload()], object), allow_pickle=True)
    replace_file(bundle, "golden/latent.npy", (bundle / "golden" / "latent.npy").read_bytes())
    opened = Bundle.open(bundle)
    with pytest.raises(BundleError, match=r"golden/latent\.npy: h|golden/latent\.npy: its header"):
        opened.golden(opened.manifest.golden[0])
    assert not canary.exists()


@pytest.mark.parametrize(
    "shape", ["(1, 4, 1000000000, 1000000000)", "(1, 4, -2, -2)", "(1, 4, 2, 3)", "(", "(" * 9000]
)
def test_a_golden_header_that_lies_is_an_error_before_memory_is_taken(
    bundle: Path, shape: str
) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    replace_file(bundle, "golden/latent.npy", data)
    opened = Bundle.open(bundle)
    with pytest.raises(BundleError, match=r"golden/latent\.npy: h|golden/latent\.npy: its header"):
        opened.golden(opened.manifest.golden[0])
