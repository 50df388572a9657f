"""Give blocks of a network a dtype of their own, with casts where they begin."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dcae_export.export.passes.use_plain_vae_layers import PlainGroupNorm
from dcae_export.models.layers import RMSNorm2d

# They compute in float32 whatever comes in; narrower weights would only be widened again in every run.
_FLOAT32_WEIGHTS = (RMSNorm2d, PlainGroupNorm)


class CastBlock(nn.Module):
    """A block whose weights are of ``dtype`` and whose inputs are cast to it; integers stay what they are.

    Of two neighbours the second one casts, so that a traced graph has one Cast where the dtype changes, and none
    where it does not.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.dtype = torch.float32

    def to_dtype(self, dtype: torch.dtype) -> None:
        """Round the weights to ``dtype`` and compute in it from now on; tensors are replaced, not written to."""
        self.dtype = dtype
        for part in self.block.modules():
            if not isinstance(part, _FLOAT32_WEIGHTS):
                for weight in part.parameters(recurse=False):
                    weight.data = weight.data.to(dtype)

    def forward(self, *args: Tensor | None, **kwargs: Tensor | None) -> Tensor:
        return self.block(
            *(self._cast(value) for value in args),
            **{name: self._cast(value) for name, value in kwargs.items()},
        )

    def _cast(self, value: Tensor | None) -> Tensor | None:
        return value.to(self.dtype) if value is not None and value.is_floating_point() else value


def cast_blocks(network: nn.Module, names: Iterable[str]) -> dict[str, CastBlock]:
    """Wrap the submodules ``names`` of ``network``, in place; all are float32 at first."""
    wrapped: dict[str, CastBlock] = {}
    for name in names:
        parent, _, child = name.rpartition(".")
        wrapped[name] = CastBlock(network.get_submodule(name))
        setattr(network.get_submodule(parent), child, wrapped[name])
    return wrapped
