"""Reshapes get constant targets, or one shared Shape."""

import numpy as np
import onnx_ir as ir
import pytest
from export_factory import graph, operators, run, text
from onnx_ir.passes.common import RemoveUnusedNodesPass

from dcae_export.export.passes.make_reshapes_constant import make_reshapes_constant

X = np.arange(2 * 4 * 3 * 5, dtype=np.float32).reshape(2, 4, 3, 5)

# The chain that a traced ``x.reshape(batch, 4, -1)`` leaves behind.
TO_SEQUENCE = graph(
    """(float[batch,4,height,width] x) => (float[batch,4,positions] y)
    <int64[1] four = {4}, int64[1] rest = {-1}, int64[1] zero = {0}> {
        shape = Shape(x)
        batch_size = Gather(shape, zero)
        target = Concat<axis = 0>(batch_size, four, rest)
        y = Reshape<allowzero = 1>(x, target)
    }"""
)
# Two blocks that flatten the grid and bring it back: only the grid's own shape can say height and width.
TWO_GRIDS = """(float[batch,4,height,width] x) => (float[batch,4,height,width] z)
    <float[batch,4,height,width] a, float[batch,4,n] b, float[batch,4,height,width] c,
     float[batch,4,n] d, int64[3] sequence = {0, 4, -1}> {
        a = Relu(x)
        grid_a = Shape<start = 0>(a)
        b = Reshape(a, sequence)
        c = Reshape(b, grid_a)
        grid_c = Shape<start = 0>(c)
        d = Reshape(c, sequence)
        z = Reshape(d, grid_c)
    }"""


def changed(model: ir.Model) -> ir.Model:
    make_reshapes_constant(model)
    RemoveUnusedNodesPass()(model)
    return model


def test_a_chain_of_shape_operators_becomes_a_constant():
    model = TO_SEQUENCE.clone()
    before = run(model, x=X)
    assert operators(changed(model)) == ["Reshape"]
    assert model.graph[0].inputs[1].const_value.numpy().tolist() == [0, 4, -1]
    np.testing.assert_array_equal(run(model, x=X)[0], before[0])


def test_a_zero_in_a_new_target_copies_the_inputs_size():
    model = changed(TO_SEQUENCE.clone())
    assert "allowzero" not in model.graph[0].attributes


def test_all_reshapes_to_one_grid_share_one_shape():
    model = graph(TWO_GRIDS)
    before = run(model, x=X)
    assert sorted(operators(changed(model))) == ["Relu", *["Reshape"] * 4, "Shape"]
    np.testing.assert_array_equal(run(model, x=X)[0], before[0])


def test_channels_that_no_tensor_has_are_joined_to_another_tensors_grid():
    model = graph(
        """(float[batch,4,height,width] x) => (float[batch,2,height,width] y)
        <float[batch,4,height,width] a, float[batch,1,4,n] b, float[batch,1,2,n] c,
         int64[4] sequence = {0, 1, 4, -1}, int64[1] zero = {0}, int64[1] two = {2},
         int64[2] sides = {2, 3}> {
            a = Relu(x)
            b = Reshape(a, sequence)
            c = Slice(b, zero, two, two)
            shape = Shape(x)
            batch_size = Gather(shape, zero)
            grid = Gather(shape, sides)
            target = Concat<axis = 0>(batch_size, two, grid)
            y = Reshape(c, target)
        }"""
    )
    before = run(model, x=X)
    changed(model)
    assert operators(model) == ["Relu", "Shape", "Reshape", "Slice", "Concat", "Reshape"]
    np.testing.assert_array_equal(run(model, x=X)[0], before[0])


def test_a_shape_that_comes_too_late_is_moved_before_its_first_reader():
    model = graph(
        """(float[batch,4,height,width] x) => (float[batch,4,height,width] c, int64[4] late)
        <float[batch,4,height,width] a, float[batch,4,n] b, int64[3] sequence = {0, 4, -1}> {
            a = Relu(x)
            grid = Shape<start = 0, end = 4>(a)
            b = Reshape(a, sequence)
            c = Reshape(b, grid)
            late = Shape(a)
        }"""
    )
    before = run(model, x=X)
    assert operators(changed(model)) == ["Relu", "Shape", "Reshape", "Reshape"]
    for actual, expected in zip(run(model, x=X), before, strict=True):
        np.testing.assert_array_equal(actual, expected)


UNCHANGED = {
    "a constant target": """(float[batch,4,height,width] x) => (float[batch,4,n] y)
        <int64[3] target = {0, 4, -1}> { y = Reshape<allowzero = 0>(x, target) }""",
    "a grid that no tensor has": """(float[batch,4,n] x, int64[4] target)
        => (float[batch,4,height,width] y) { y = Reshape(x, target) }""",
    "no reshape": "(float[batch,4] x) => (float[batch,4] y) { y = Relu(x) }",
}


@pytest.mark.parametrize("source", UNCHANGED.values(), ids=UNCHANGED)
def test_what_has_no_better_form_stays_as_it_is(source):
    model = graph(source)
    before = text(model)
    make_reshapes_constant(model)
    assert text(model) == before


def test_unnamed_dimensions_are_not_taken_for_equal_ones():
    model = graph(
        """(float[batch,4,n] x, int64[4] target) => (float y) { y = Reshape(x, target) }"""
    )
    x, y = model.graph.inputs[0], model.graph.outputs[0]
    x.shape, y.shape = ir.Shape([None, None, 4]), ir.Shape([None, 2, None, 4])
    before = text(model)
    make_reshapes_constant(model)
    assert text(model) == before
