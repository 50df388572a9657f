"""The four phases of an upsampling convolution join without a stack in five dimensions."""

import numpy as np
import onnx_ir as ir
import pytest
from export_factory import graph, operators, run, text
from onnx_ir.passes.common import RemoveUnusedNodesPass

from dcae_export.export.passes.interleave_phases import interleave_phases

CHANNELS = 3
PHASES = ("p0", "p1", "p2", "p3")


def stacked(*, phases: tuple[str, ...] = PHASES, axis: int = 2, mode: str = "CRD") -> ir.Model:
    """A stack of the phases along ``axis``, flattened into the channels, then DepthToSpace."""
    inputs = ", ".join(f"float[batch,{CHANNELS},height,width] {phase}" for phase in phases)
    parts = "\n".join(f"u_{phase} = Unsqueeze({phase}, axis)" for phase in phases)
    names = ", ".join(f"u_{phase}" for phase in phases)
    channels = CHANNELS * len(phases)
    return graph(
        f"""({inputs}) => (float[batch,c,rows,columns] y)
        <int64[1] axis = {{{axis}}}, int64[4] target = {{0, {channels}, 2, 5}}> {{
            {parts}
            stack = Concat<axis = 2>({names})
            channels = Reshape(stack, target)
            y = DepthToSpace<blocksize = 2, mode = "{mode}">(channels)
        }}"""
    )


def arrays(phases: tuple[str, ...] = PHASES) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        phase: random.standard_normal((2, CHANNELS, 2, 5), dtype=np.float32) for phase in phases
    }


def test_the_phases_are_concatenated_and_shuffled_in_dcr_mode():
    model = stacked()
    before = run(model, **arrays())
    interleave_phases(model)
    RemoveUnusedNodesPass()(model)
    assert operators(model) == ["Concat", "DepthToSpace"]
    assert model.graph[1].attributes.get_string("mode") == "DCR"
    np.testing.assert_array_equal(run(model, **arrays())[0], before[0])


# A DepthToSpace of the decoder's other upsampling: its channels come from one convolution.
ONE_TENSOR = """(float[batch,12,height,width] x) => (float[batch,3,rows,columns] y)
    { y = DepthToSpace<blocksize = 2, mode = "CRD">(x) }"""
UNCHANGED = {
    "one tensor": graph(ONE_TENSOR),
    "another mode": stacked(mode="DCR"),
    "a stack along another axis": stacked(axis=1),
    "more than four phases": stacked(phases=(*PHASES, "p4", "p5", "p6", "p7")),
}


@pytest.mark.parametrize("model", UNCHANGED.values(), ids=UNCHANGED)
def test_what_is_no_stack_of_four_phases_stays_as_it_is(model):
    before = text(model)
    interleave_phases(model)
    assert text(model) == before
