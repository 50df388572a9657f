"""What no published graph may contain."""

import pytest
from export_factory import graph

from dcae_export.errors import ExportError
from dcae_export.export.structure import check_structure

FORBIDDEN = {
    "SpaceToDepth": """(float[n,3,h,w] x) => (float[n,12,r,c] y)
        { y = SpaceToDepth<blocksize = 2>(x) }""",
    "BatchNormalization": """(float[n,3,h,w] x, float[3] a) => (float[n,3,h,w] y)
        { y = BatchNormalization(x, a, a, a, a) }""",
    "If": """(bool x) => (float[1] y)
        { y = If(x) <then_branch = g () => (float[1] a) { a = Constant<value = float[1] {1.0}>() },
                     else_branch = h () => (float[1] b) { b = Constant<value = float[1] {2.0}>() }> }""",
}


@pytest.mark.parametrize(("operator", "source"), FORBIDDEN.items(), ids=FORBIDDEN)
def test_a_forbidden_operator_is_named(operator, source):
    with pytest.raises(ExportError, match=f"encoder: operator {operator} "):
        check_structure(graph(source), name="encoder")


def test_an_operator_of_another_domain_is_named_with_it():
    model = graph("(float[n] x) => (float[n] y) { y = com.microsoft.Gelu(x) }")
    with pytest.raises(ExportError, match=r"operator com\.microsoft\.Gelu "):
        check_structure(model, name="encoder")


def test_a_tensor_of_five_dimensions_is_refused():
    model = graph(
        """(float[n,3,h,w] x) => (float[n,3,h,w] y)
        <float[n,3,1,h,w] a, int64[1] two = {2}> { a = Unsqueeze(x, two) y = Squeeze(a, two) }"""
    )
    with pytest.raises(ExportError, match=r"encoder: Unsqueeze at .* makes 5 dimensions"):
        check_structure(model, name="encoder")


def test_convolutions_and_shuffles_in_four_dimensions_pass():
    model = graph(
        """(float[n,3,h,w] x, float[12,3,3,3] k) => (float[n,3,r,c] y) <float[n,12,p,q] a>
        { a = Conv<pads = [1, 1, 1, 1]>(x, k) y = DepthToSpace<blocksize = 2, mode = "CRD">(a) }"""
    )
    check_structure(model, name="decoder")


NARROW = {
    "ReduceMean": "y = ReduceMean(x)",
    "Softmax": "y = Softmax<axis = 1>(x)",
    "Div": "y = Div(x, x)",
    "Pow": "y = Pow(x, x)",
    "Sin": "y = Sin(x)",
    "LayerNormalization": "y = LayerNormalization<axis = 1, stash_type = 10>(x, x)",
}


@pytest.mark.parametrize(("operator", "node"), NARROW.items(), ids=NARROW)
def test_what_needs_float32_is_refused_in_float16_and_passes_in_float32(operator, node):
    source = f"(float16[n,4] x) => (float16[n,4] y) {{ {node} }}"
    with pytest.raises(ExportError, match=f"decoder: {operator} at .* needs float32"):
        check_structure(graph(source), name="decoder")
    check_structure(graph(source.replace("float16", "float")), name="decoder")


def test_norms_whose_sums_are_float32_pass_in_float16():
    for norm in ("LayerNormalization<axis = 1>", "RMSNormalization<axis = 1, stash_type = 1>"):
        source = f"(float16[n,4] x, float16[4] s) => (float16[n,4] y) {{ y = {norm}(x, s) }}"
        check_structure(graph(source, opset=23), name="decoder")
