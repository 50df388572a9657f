"""Keep the epsilon under the attention's division through the tracer's own optimizer."""

import torch
from torch import nn

from dcae_export.models.attention import LinearAttention


def keep_attention_epsilon(module: nn.Module) -> None:
    """Hold the epsilon of every ``LinearAttention`` in a tensor of one element, in place.

    onnxscript removes "x + c" where the scalar c is below 1e-8, which it takes for 0. A head that attends to
    nothing then divides 0 by 0. Constants with an axis it leaves alone.
    """
    for block in module.modules():
        if isinstance(block, LinearAttention):
            block.eps = torch.full((1,), float(block.eps))
