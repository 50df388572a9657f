"""A saved float16 graph is held to float16's range, node by node."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from bundle_factory import tiny_manifest
from export_factory import graph

from dcae_export.bundle.manifest import File, Port
from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import ParityError
from dcae_export.export.float16_ranges import judge_mixed, wide_copy
from dcae_export.export.gate import Case

FILES = ("decoder.onnx", "decoder.onnx.data", "golden/latent.npy", "golden/image.npy")

# Twice the latent, squared, in float16; the constant is a node, as a simplifier may leave it. Its bits read 2.0.
SQUARE = """(float[n,4,h,w] latent) => (float[n,4,h,w] image)
    <float16[n,4,h,w] narrow, float16[n,4,h,w] double, float16[n,4,h,w] square, float16[1] half>
    {
      [enter] narrow = Cast<to = 10>(latent)
      two = Constant<value = float16[1] {16384}>()
      [double] double = Mul(narrow, two)
      [square] square = Mul(double, double)
      [leave] image = Cast<to = 1>(square)
    }"""


def saved(folder: Path, model: ir.Model) -> GraphFiles:
    latent = tiny_manifest(dict.fromkeys(FILES, File(sha256="0" * 64, bytes=0))).graphs["decoder"]
    port = latent.inputs[0]
    described = latent.model_copy(
        update={"outputs": (Port(name="image", dtype="float32", shape=port.shape),)}
    )
    path = folder / "decoder.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(ir.to_proto(model)), path)
    return GraphFiles(model=path.read_bytes(), path=path, data=(), graph=described)


def latent(value: float) -> np.ndarray:
    array = np.full((1, 4, 2, 3), 0.5, np.float32)
    array[0, 1, 0, 2] = value
    return array


def case(value: float) -> Case:
    return Case(name="picture", inputs={"latent": latent(value)}, expected=4 * latent(value) ** 2)


def test_a_graph_that_overflows_in_float16_is_refused_and_the_node_is_named(tmp_path):
    files = saved(tmp_path, graph(SQUARE))
    wide = case(200.0)  # 400 squared is 160000
    with pytest.raises(ParityError, match=r"decoder\.onnx: Mul at square reaches 1\.6e\+05"):
        judge_mixed(files, [wide], [wide.expected])


def test_onnx_runtime_itself_shows_no_overflow_of_that_graph(tmp_path):
    """Why the range is measured: on a processor ONNX Runtime computes float16 in float32."""
    onnxruntime = pytest.importorskip("onnxruntime")
    path = saved(tmp_path, graph(SQUARE)).path
    (image,) = onnxruntime.InferenceSession(path).run(None, {"latent": latent(200.0)})
    assert np.isfinite(image).all()


def test_a_graph_in_range_passes_and_each_float16_node_has_its_range(tmp_path):
    files = saved(tmp_path, graph(SQUARE))
    small = case(-3.0)
    judge_mixed(files, [small], [small.expected])
    outputs, ranges = wide_copy(files).run({"latent": latent(-3.0)})
    assert ranges == {"Cast at enter": 3.0, "Mul at double": 6.0, "Mul at square": 36.0}
    np.testing.assert_array_equal(outputs["image"], small.expected)


def test_a_graph_in_range_for_its_data_but_not_ten_times_beyond_is_refused(tmp_path):
    files = saved(tmp_path, graph(SQUARE))
    middle = case(50.0)  # 100 squared fits, 1000 squared does not
    with pytest.raises(ParityError, match="Mul at square reaches 1e\\+06"):
        judge_mixed(files, [middle], [middle.expected])


def test_the_copy_is_held_to_the_module_more_closely_than_float16_could_be(tmp_path):
    files = saved(tmp_path, graph(SQUARE))
    small = case(3.0)
    with pytest.raises(ParityError, match="not the module with its weights in float16"):
        judge_mixed(files, [small], [small.expected * np.float32(1.0001)])


@pytest.mark.parametrize("weight", [np.inf, np.nan])
def test_a_weight_that_float16_does_not_hold_is_refused_by_its_name(tmp_path, weight):
    model = graph(SQUARE.replace("two = Constant<value = float16[1] {16384}>()", ""))
    values = np.array([weight], np.float16)
    two = next(value for node in model.graph for value in node.inputs if value.name == "two")
    two.const_value = ir.tensor(values, name="two")
    two.type, two.shape = ir.TensorType(ir.DataType.FLOAT16), ir.Shape([1])
    model.graph.register_initializer(two)
    with pytest.raises(ParityError, match=r"decoder\.onnx: two has values that float16"):
        wide_copy(saved(tmp_path, model))


def test_weights_are_read_from_the_saved_file(tmp_path):
    model = graph(SQUARE.replace("two = Constant<value = float16[1] {16384}>()", ""))
    two = next(value for node in model.graph for value in node.inputs if value.name == "two")
    two.const_value = ir.tensor(np.array([3.0], np.float16), name="two")
    two.type, two.shape = ir.TensorType(ir.DataType.FLOAT16), ir.Shape([1])
    model.graph.register_initializer(two)
    _, ranges = wide_copy(saved(tmp_path, model)).run({"latent": latent(2.0)})
    assert ranges["Mul at square"] == 36.0
