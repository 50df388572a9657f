"""What a training and its data have to bring for the engine to run them."""

from collections.abc import Iterator
from typing import Protocol, Self, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

NETWORK = "network"


class Batch(Protocol):
    """What one step of a process sees, as a tensor is one or holds some."""

    def __len__(self) -> int:
        """How many samples it holds."""
        ...

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Self:
        """The same on a device; with ``non_blocking`` the host does not wait for it."""
        ...


AnyBatch = TypeVar("AnyBatch", bound=Batch)
_Batch_co = TypeVar("_Batch_co", bound=Batch, covariant=True)
_Batch_contra = TypeVar("_Batch_contra", bound=Batch, contravariant=True)


class Data(Protocol[_Batch_co]):
    """Samples in an order of its own."""

    def batches(self, position: dict[str, int]) -> Iterator[tuple[_Batch_co, dict[str, int]]]:
        """The batches of this process from ``position`` on, for ever; ``{}`` is the beginning.

        Yields:
            A batch, as the training takes it, and the position after it, which a checkpoint keeps.
        """
        ...


class Trained(Protocol):
    """What moves in a training.

    ``modules`` by name; ``"network"`` is the one whose averages are kept. Before the first step the engine
    moves them to its device and puts a wrapped one (DDP, FSDP2) in the place of each that has an optimizer in
    ``optimizers``, under the same name. A module without one is no part of a checkpoint.
    """

    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]


class Training(Trained, Protocol[_Batch_contra]):
    """What is trained, and how."""

    def is_active(self, name: str, *, step: int) -> bool:
        """Whether the optimizer of that name moves its module at ``step``, counted from 0."""
        ...

    def backward(
        self, batch: _Batch_contra, *, step: int, accelerator: Accelerator
    ) -> dict[str, Tensor]:
        """Add the gradients of one batch, through ``accelerator.backward``.

        Returns:
            The losses by name, detached scalars on the device: the same names for each batch of a step, on
            each process. One that is not finite skips the step.
        """
        ...

    def sample(self, *, accelerator: Accelerator) -> tuple[Tensor, Tensor] | None:
        """Pictures before and after the network, float32 (B, 3, H, W) in [-1, 1]; nothing may move.

        All processes call it, without gradients and with random states that are set back; the main one's
        pictures are shown. None where a training has nothing to show.
        """
        ...
