"""Keep GELUs in float32 where they are no operator of their own."""

from torch import Tensor, nn

from dcae_export.export.replace_modules import replace_modules
from dcae_export.models.layers import at_least_float32

# The first operator set that has Gelu.
GELU_OPSET = 20


class WideGELU(nn.Module):
    """A GELU in float32 or wider, back in the dtype that came in.

    Before operator set 20 it is several operators, and one of them is x^3: in float16 infinite from 41 on.
    """

    def __init__(self, gelu: nn.GELU) -> None:
        super().__init__()
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        return self.gelu(x.to(at_least_float32(x))).to(x.dtype)


def keep_gelu_in_float32(module: nn.Module) -> None:
    """Put every GELU of ``module`` behind casts, in place; in float32 there are none to be traced."""
    replace_modules(module, nn.GELU, WideGELU)
