"""Move zero padding into the convolution that reads it."""

import onnx_ir as ir


def fold_padding(model: ir.Model) -> None:
    """Remove every constant zero Pad of the two spatial axes that only feeds convolutions, in place."""
    for pad in list(model.graph):
        if pad.op_type != "Pad" or pad.attributes.get_string("mode", "constant") != "constant":
            continue
        amounts = _spatial_amounts(pad)
        uses = pad.outputs[0].uses()
        if amounts is None or pad.outputs[0].is_graph_output():
            continue
        if not all(_slides(use.node, index=use.idx) for use in uses):
            continue
        for conv in [use.node for use in uses]:
            old = conv.attributes.get_ints("pads", [0, 0, 0, 0])
            total = [a + b for a, b in zip(old, amounts, strict=True)]
            conv.attributes["pads"] = ir.AttrInt64s("pads", total)
            conv.replace_input_with(0, pad.inputs[0])
        model.graph.remove(pad, safe=True)


def _slides(user: ir.Node, *, index: int) -> bool:
    """Whether ``user`` is a convolution with explicit padding that slides over its input ``index``."""
    automatic = user.attributes.get_string("auto_pad", "NOTSET") != "NOTSET"
    return user.op_type == "Conv" and index == 0 and not automatic


def _spatial_amounts(pad: ir.Node) -> list[int] | None:
    """(top, left, bottom, right), or None where the padding is something else than constant zeros."""
    amounts = pad.inputs[1].const_value if pad.inputs[1] is not None else None
    value = pad.inputs[2] if len(pad.inputs) > 2 else None
    if amounts is None or any(extra is not None for extra in pad.inputs[3:]):
        return None
    if value is not None and (value.const_value is None or value.const_value.numpy().any()):
        return None
    numbers = [int(number) for number in amounts.numpy()]
    if len(numbers) != 8 or min(numbers) < 0 or any(numbers[i] for i in (0, 1, 4, 5)):
        return None
    return [numbers[2], numbers[3], numbers[6], numbers[7]]
