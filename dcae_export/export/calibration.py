"""Find the blocks whose activations come too near to the end of float16."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.hooks import RemovableHandle

from dcae_export.export.passes.cast_blocks import CastBlock

# It has the range of float32, so nothing overflows while it is measured, and unlike float32 it tells what will be
# float16 from the islands inside of a block. Its 8 bits are enough for a maximum with a margin of 4.
_STAND_IN = torch.bfloat16


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
    found = dict.fromkeys(blocks, 0.0)
    with contextlib.ExitStack() as stack, torch.no_grad():
        stack.enter_context(_standing_in(blocks.values()))
        watch = _Watch()
        for name, block in blocks.items():
            for hook in _hooks(block, watch, _Block(name, found)):
                stack.callback(hook.remove)
        stack.enter_context(watch)
        for inputs in cases:
            module(*inputs.values())
    return found


@dataclass(frozen=True, slots=True)
class _Block:
    """Where the ranges of one block go."""

    name: str
    found: dict[str, float]

    def see(self, value: Tensor) -> None:
        self.found[self.name] = max(self.found[self.name], float(value.abs().max()))


class _Watch(TorchDispatchMode):
    """Shows every result of an operator in bfloat16 to the block that runs, if one does."""

    inside: _Block | None = None

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        del types  # PyTorch passes them.
        result: object = func(*args, **(kwargs or {}))
        # Of several results the first counts: a norm's others are its statistics, a split's are views.
        first = next(iter(result), None) if isinstance(result, tuple | list) else result  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - narrowed from object
        if self.inside is not None and isinstance(first, Tensor) and first.dtype is _STAND_IN:
            self.inside.see(first)
        return result  # pyright: ignore[reportUnknownVariableType] - narrowed from object


def _hooks(block: CastBlock, watch: _Watch, ranges: _Block) -> Iterator[RemovableHandle]:
    for weight in block.parameters():
        if weight.dtype is _STAND_IN:
            ranges.see(weight)

    def enter(_: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        watch.inside = ranges
        # Whatever the neighbour computes in: it may become float32, and then this block casts.
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.is_floating_point():
                ranges.see(value)

    def leave(_: nn.Module, __: object, ___: object) -> None:
        watch.inside = None

    yield block.register_forward_pre_hook(enter, with_kwargs=True)
    yield block.register_forward_hook(leave)


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
