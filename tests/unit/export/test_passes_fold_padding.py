"""Zero padding moves into the convolutions that read it."""

import numpy as np
import onnx_ir as ir
import pytest
from export_factory import graph, operators, run, text

from dcae_export.export.passes.fold_padding import fold_padding
from dcae_export.parity import FP32, difference

HEAD = """(float[batch,2,height,width] x, float[3,2,2,2] w, float[2,2,9,9] v)
    => (float[batch,c,rows,columns] y) <int64[8] pads = {%s}, float zero = {0.0}, float one = {1.0}>"""
ASYMMETRIC = "0, 0, 1, 0, 0, 0, 2, 3"  # top 1, left 0, bottom 2, right 3


def padded(nodes: str, *, pads: str = ASYMMETRIC) -> ir.Model:
    return graph(HEAD % pads + "{" + nodes + "}")


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"x": (2, 2, 4, 5), "w": (3, 2, 2, 2), "v": (2, 2, 9, 9)}
    return {name: random.standard_normal(s, dtype=np.float32) for name, s in shapes.items()}


CHANGED = {
    "a convolution": "p = Pad(x, pads) y = Conv(p, w)",
    "a zero given by name": 'p = Pad<mode = "constant">(x, pads, zero) y = Conv(p, w)',
    "padding of its own": "p = Pad(x, pads) y = Conv<pads = [0, 1, 2, 0]>(p, w)",
    "a stride": "p = Pad(x, pads) y = Conv<strides = [2, 2]>(p, w)",
    "two convolutions": "p = Pad(x, pads) a = Conv(p, w) b = Conv(p, w) y = Add(a, b)",
}


@pytest.mark.parametrize("nodes", CHANGED.values(), ids=CHANGED)
def test_zeros_around_the_picture_become_the_convolutions_padding(nodes):
    model = padded(nodes)
    before = run(model, **arrays())
    fold_padding(model)
    assert "Pad" not in operators(model)
    found = difference(run(model, **arrays())[0], before[0])
    assert found.within(FP32), str(found)


UNCHANGED = {
    "another value": padded("p = Pad(x, pads, one) y = Conv(p, w)"),
    "a reflection": padded('p = Pad<mode = "reflect">(x, pads) y = Conv(p, w)'),
    "another reader": padded("p = Pad(x, pads) y = Relu(p)"),
    "a reader beside the convolution": padded(
        "p = Pad(x, pads) a = Conv(p, w) b = Shape(p) y = Reshape(a, b)"
    ),
    "channels": padded("p = Pad(x, pads) y = Conv(p, v)", pads="0, 0, 0, 0, 0, 1, 0, 0"),
    "a crop": padded("p = Pad(x, pads) y = Conv(p, w)", pads="0, 0, -1, 0, 0, 0, 0, 0"),
    "a convolution's weights": padded("p = Pad(w, pads) y = Conv(v, p)"),
    "padding that is not explicit": padded(
        'p = Pad(x, pads) y = Conv<auto_pad = "SAME_UPPER">(p, w)'
    ),
    "an output of the graph": padded("y = Pad(x, pads) a = Conv(y, w)"),
}


@pytest.mark.parametrize("model", UNCHANGED.values(), ids=UNCHANGED)
def test_other_padding_stays_as_it_is(model):
    before = text(model)
    fold_padding(model)
    assert text(model) == before
