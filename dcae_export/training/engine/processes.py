"""The processes that train together, by way of Hugging Face Accelerate: the one place that knows its types."""

import atexit
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self, TypeVar, cast

import torch
import torch.distributed as dist
from accelerate import Accelerator, PartialState
from accelerate.utils import (
    GradientAccumulationPlugin,
    broadcast_object_list,  # pyright: ignore[reportUnknownVariableType] - untyped
    gather_object,
    parse_flag_from_env,  # pyright: ignore[reportUnknownVariableType] - untyped
)
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from dcae_export.errors import ProviderError
from dcae_export.training.engine.settings import Precision

# What Accelerate calls them.
_MIXED_PRECISION = {Precision.FP32: "no", Precision.BF16: "bf16", Precision.FP16: "fp16"}

Value = TypeVar("Value")


@atexit.register
def _leave() -> None:
    # A process that ends while gloo's threads still run is aborted now and then, its work done.
    if dist.is_initialized():
        dist.destroy_process_group()


@dataclass(frozen=True, kw_only=True, slots=True)
class ThisProcess:
    """Which of ``count`` processes this is, and where it computes: known before a run's precision is."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def find(cls) -> Self:
        """As ``accelerate launch`` started it; alone where nothing did."""
        # As the Accelerator asks for it later: without, several processes of a CPU would each be alone.
        state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
        return cls(
            rank=cast("int", state.process_index),  # pyright: ignore[reportUnknownMemberType]
            count=cast("int", state.num_processes),  # pyright: ignore[reportUnknownMemberType]
            device=cast("torch.device", state.device),  # pyright: ignore[reportUnknownMemberType]
        )

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes files."""
        return self.rank == 0


class Processes:
    """This process among those that ``accelerate launch`` started; alone where nothing did.

    What passes between processes has to be asked for by all of them at the same time.
    """

    def __init__(self, precision: Precision, *, accumulation: int) -> None:
        """Find the others.

        Raises:
            ProviderError: float16 was asked for where it cannot be computed.
        """
        self.accelerator = Accelerator(
            mixed_precision=_MIXED_PRECISION[precision],
            # A plugin, since a plain number gives way to an environment variable.
            gradient_accumulation_plugin=GradientAccumulationPlugin(
                num_steps=accumulation, sync_with_dataloader=False
            ),
        )
        # Accelerate would compute in float32 and say nothing.
        if precision is Precision.FP16 and self.device.type == "cpu":
            raise ProviderError("precision fp16 needs a GPU; train in bf16 or fp32 on the CPU")

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.accelerator.device

    @property
    def count(self) -> int:
        """How many there are, on all machines."""
        return self.accelerator.num_processes

    @property
    def rank(self) -> int:
        """Which of them this is, counted from 0."""
        return self.accelerator.process_index

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes files and tells events."""
        return self.accelerator.is_main_process

    @property
    def scaler(self) -> GradScaler | None:
        """float16's loss scale; None in other precisions."""
        return cast("GradScaler | None", self.accelerator.scaler)  # pyright: ignore[reportUnknownMemberType]

    def wrap(self, module: nn.Module, optimizer: Optimizer) -> nn.Module:
        """A module as it has to be called (DDP, FSDP2, autocast); the optimizer follows its parameters."""
        # One module at a time, with its optimizer, as FSDP2 wants it.
        wrapped, _ = cast("tuple[nn.Module, object]", self.accelerator.prepare(module, optimizer))  # pyright: ignore[reportUnknownMemberType]
        return wrapped

    def accumulate(self, modules: list[nn.Module]) -> AbstractContextManager[None]:
        """Pass gradients between processes at the last of a step's batches only."""
        return self.accelerator.accumulate(*modules)  # pyright: ignore[reportUnknownMemberType]

    def mean(self, values: Tensor) -> list[float]:
        """The means of a vector's elements over all processes."""
        reduced = cast("Tensor", self.accelerator.reduce(values, reduction="mean"))  # pyright: ignore[reportUnknownMemberType]
        return cast("list[float]", reduced.tolist())  # pyright: ignore[reportUnknownMemberType]

    def gather(self, value: Value) -> list[Value]:
        """The values of all processes in the order of their ranks."""
        return cast("list[Value]", gather_object([value]))

    def from_main(self, value: Value) -> Value:
        """The main process's value; the others wait for it."""
        values = [value]
        broadcast_object_list(values)
        return values[0]
