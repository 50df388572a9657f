"""The forecast of a graph's memory, on graphs counted by hand."""

import onnx_ir as ir
import pytest
from export_factory import graph

from dcae_export.export.activation_memory import activation_bytes, attention_bytes

FLOAT = 4
HALF = 2
INT64 = 8


def test_a_chain_holds_two_tensors_at_a_time():
    model = graph(
        """(float[batch,3,height,width] x) => (float[batch,5,height,width] c)
        <float[batch,7,height,width] a, float[batch,2,height,width] b,
         float[7,3,1,1] u = {0}, float[2,7,1,1] v = {0}, float[5,2,1,1] w = {0}>
        { a = Conv(x, u) b = Conv(a, v) c = Conv(b, w) }"""
    )
    # x + a = 10, a + b = 9, b + c = 7.
    assert activation_bytes(model) == FLOAT * 10


def test_a_shortcut_is_held_until_it_is_added():
    model = graph(
        """(float[batch,3,height,width] x) => (float[batch,3,height,width] y)
        <float[batch,3,height,width] a, float[batch,9,height,width] b,
         float[batch,3,height,width] c, float[9,3,1,1] u = {0}, float[3,9,1,1] v = {0}>
        { a = Relu(x) b = Conv(a, u) c = Conv(b, v) y = Add(a, c) }"""
    )
    # At c: a + b + c.
    assert activation_bytes(model) == FLOAT * (3 + 9 + 3)


def test_an_output_is_held_to_the_end():
    model = graph(
        """(float[batch,2,height,width] x) => (float[batch,6,height,width] a, float[batch,4,height,width] c)
        <float[batch,1,height,width] b, float[6,2,1,1] u = {0}, float[1,6,1,1] v = {0},
         float[4,1,1,1] w = {0}>
        { a = Conv(x, u) b = Conv(a, v) c = Conv(b, w) }"""
    )
    # x + a = 8, a + b = 7, a + b + c = 11.
    assert activation_bytes(model) == FLOAT * 11


def test_multiples_of_an_axis_count_and_products_of_axes_are_one_position():
    model = graph(
        """(float[batch,2,height,width] x) => (float[batch,1,rows,columns] y)
        <float[batch,2,positions] s> { s = Identity(x) y = Identity(s) }"""
    )
    shapes = (
        ["batch", 2, "height", "width"],
        ["batch", 2, "height*width"],
        ["batch", 1, "4*height", "8*width"],
    )
    values = (model.graph.inputs[0], model.graph[0].outputs[0], model.graph.outputs[0])
    for value, shape in zip(values, shapes, strict=True):
        value.shape = type(value.shape)(shape)
    # At y: 2 for the sequence, 4 * 8 for the picture.
    assert activation_bytes(model) == FLOAT * (2 + 32)


def test_weights_do_not_count_and_other_types_count_by_their_size():
    model = graph(
        """(uint8[batch,3,height,width] x) => (int64[4] s)
        <float[100] unused = {0}> { s = Shape(x) }"""
    )
    assert activation_bytes(model) == 3 + INT64 * 4


def test_attention_matrices_count_apart_and_by_pairs_of_positions():
    model = graph(
        """(float[batch,5,positions] q, float[batch,5,positions] k, float[batch,positions,7] v)
        => (float[batch,positions,7] y)
        <float[batch,positions,5] t, float[batch,positions,positions] s,
         float[batch,positions,positions] p>
        { t = Transpose<perm = [0, 2, 1]>(q) s = MatMul(t, k) p = Softmax(s) y = MatMul(p, v) }"""
    )
    # At t: q + k + v + t = 22. At p: s and p in one place.
    assert activation_bytes(model) == FLOAT * 22
    assert attention_bytes(model) == FLOAT


def test_attention_matrices_of_a_mixed_graph_count_in_float16_beside_those_in_float32():
    model = graph(
        """(float16[batch,5,positions] k, float16[batch,positions,5] q, float16[batch,positions,7] v)
        => (float16[batch,positions,7] y)
        <float16[batch,positions,positions] s, float[batch,positions,positions] w,
         float[batch,positions,positions] p, float16[batch,positions,positions] n>
        { s = MatMul(q, k) w = Cast<to = 1>(s) p = Softmax(w) n = Cast<to = 10>(p) y = MatMul(n, v) }"""
    )
    # At the first: k + q + v = 17.
    assert activation_bytes(model) == HALF * 17
    # At the second Cast: p and n. Softmax writes over w.
    assert attention_bytes(model) == FLOAT + HALF


def test_a_graph_of_fixed_size_counts_its_attention_matrices_whole():
    model = graph(
        """(float[1,6,6] s) => (float[1,6,6] p, float[1,6,2] y)
        <float[6,2] v = {0}> { p = Softmax(s) y = MatMul(p, v) }"""
    )
    assert activation_bytes(model) == FLOAT * 12
    assert attention_bytes(model) == FLOAT * 36


def test_a_graph_without_softmax_has_no_attention_matrices():
    model = graph(
        "(float[batch,3,height,width] x) => (float[batch,3,height,width] y) { y = Relu(x) }"
    )
    assert attention_bytes(model) == 0


@pytest.mark.parametrize(
    ("dim", "expected"),
    [("height", 1), ("4*height", 4), ("Min(1024, height)", 1), ("2*Min(1024, height)*width", 2)],
)
def test_a_bound_of_a_dimension_is_no_factor_of_it(dim, expected):
    model = graph("(float[batch,side] x) => (float[batch,side] y) { y = Relu(x) }")
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.shape = ir.Shape(["batch", dim])
    # Input and output are alive at once.
    assert activation_bytes(model) == FLOAT * 2 * expected
