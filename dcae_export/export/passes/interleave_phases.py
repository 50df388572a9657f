"""Join the phases of an upsampling convolution by one concatenation and one DepthToSpace."""

import onnx_ir as ir


def interleave_phases(model: ir.Model) -> None:
    """Replace stack, flatten and pixel-shuffle of four phases by Concat and DepthToSpace in DCR mode, in place.

    Pixel-shuffle wants channels of one colour adjacent (c, phase), which takes a 5-D stack to build. DCR reads
    them phase by phase (phase, c), which a plain concatenation gives.
    """
    graph = model.graph
    for node in list(graph):
        if node.op_type != "DepthToSpace" or node.attributes.get_string("mode") != "CRD":
            continue
        source = node.inputs[0]
        phases = _stacked(source)
        if source is None or phases is None:
            continue
        if len(phases) != node.attributes.get_int("blocksize", 0) ** 2:
            continue
        concat = ir.node("Concat", phases, attributes={"axis": 1}, name=f"{node.name}_phases")
        joined = concat.outputs[0]
        joined.name = f"{source.name}_phases"
        joined.shape, joined.type = source.shape, source.type
        graph.insert_before(node, concat)
        node.replace_input_with(0, joined)
        node.attributes["mode"] = ir.AttrString("mode", "DCR")


def _stacked(value: ir.Value | None) -> list[ir.Value] | None:
    """The tensors whose stack along axis 2, flattened into the channels, is ``value``."""
    reshape = _producer(value, "Reshape")
    stack = _producer(reshape.inputs[0], "Concat") if reshape else None
    if stack is None or stack.attributes.get_int("axis") != 2:
        return None
    phases: list[ir.Value] = []
    for part in stack.inputs:
        unsqueeze = _producer(part, "Unsqueeze")
        if unsqueeze is None or unsqueeze.inputs[0] is None or not _is_two(unsqueeze.inputs[1]):
            return None
        phases.append(unsqueeze.inputs[0])
    return phases


def _is_two(axes: ir.Value | None) -> bool:
    constant = axes.const_value if axes is not None else None
    return constant is not None and constant.numpy().tolist() == [2]


def _producer(value: ir.Value | None, op_type: str) -> ir.Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == op_type else None
