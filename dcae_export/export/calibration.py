"""Find the blocks whose activations come too near to the end of float16."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dcae_export.export.passes.cast_blocks import CastBlock

# It has the range of float32, so nothing overflows while it is measured, and unlike float32 it tells what will be
# float16 from the islands inside of a block. Its 8 bits are enough for a maximum with a margin of 4.
_STAND_IN = torch.bfloat16

_PreHook = Callable[[nn.Module, tuple[object, ...], dict[str, object]], None]


def calibrate(
    module: nn.Module,
    blocks: Mapping[str, CastBlock],
    cases: Iterable[Mapping[str, Tensor]],
) -> dict[str, float]:
    """The largest absolute value in each block of what float16 would hold there: activations and weights.

    Args:
        module: A module in float32; it is as it was afterwards.
        blocks: Its blocks that may become float16, by name.
        cases: Inputs, each in the order of the module's arguments.
    """
    with _standing_in(blocks.values()), _Ranges(blocks) as ranges, torch.no_grad():
        for name, block in blocks.items():
            for weight in block.block.parameters():
                ranges.see(name, weight)
        for inputs in cases:
            module(*inputs.values())
    return ranges.found


class _Ranges(TorchDispatchMode):
    """Watches every operator that runs, and knows in which block it does."""

    def __init__(self, blocks: Mapping[str, CastBlock]) -> None:
        super().__init__()
        self.found = dict.fromkeys(blocks, 0.0)
        self._blocks = blocks
        self._inside: str | None = None
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> "_Ranges":
        for name, block in self._blocks.items():
            self._hooks += [
                block.register_forward_pre_hook(self._enter(name), with_kwargs=True),
                block.register_forward_hook(self._leave),
            ]
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for hook in self._hooks:
            hook.remove()

    def _enter(self, name: str) -> _PreHook:
        def enter(_: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            self._inside = name
            # Whatever the neighbour computes in: it may become float32, and then this block casts.
            for value in (*args, *kwargs.values()):
                if isinstance(value, Tensor) and value.is_floating_point():
                    self.see(name, value.to(_STAND_IN))

        return enter

    def _leave(self, _: nn.Module, __: object, ___: object) -> None:
        self._inside = None

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],  # noqa: ARG002 - torch passes it
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        # Of several results the first counts: a norm's others are its statistics, a split's are views.
        first = result[0] if isinstance(result, tuple | list) else result
        if self._inside is not None and isinstance(first, Tensor):
            self.see(self._inside, first)
        return result

    def see(self, block: str, value: Tensor) -> None:
        if value.dtype is _STAND_IN:
            self.found[block] = max(self.found[block], float(value.abs().max()))


@contextlib.contextmanager
def _standing_in(blocks: Iterable[CastBlock]) -> Generator[None]:
    blocks = list(blocks)
    kept = [(weight, weight.data) for block in blocks for weight in block.parameters()]
    for block in blocks:
        block.to_dtype(_STAND_IN)
    try:
        yield
    finally:
        for block in blocks:
            block.dtype = torch.float32
        for weight, data in kept:
            weight.data = data
