"""What a training and its data have to bring for the engine to run them."""

from collections.abc import Iterator
from typing import Protocol

from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

NETWORK = "network"


class Data(Protocol):
    """Images in an order of its own."""

    def batches(self, position: dict[str, int]) -> Iterator[tuple[Tensor, dict[str, int]]]:
        """The batches of this process from ``position`` on, for ever; ``{}`` is the beginning.

        Yields:
            A batch, float32 (B, 3, H, W) in [-1, 1], and the position after it, which a checkpoint keeps.
        """
        ...


class Training(Protocol):
    """What is trained.

    ``modules`` by name; ``"network"`` is the one whose averages are kept. Before the first step the engine
    moves them to its device and puts a wrapped one (DDP, FSDP2) in the place of each that has an optimiser in
    ``optimizers``, under the same name. A module without one is no part of a checkpoint.
    """

    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]

    def is_active(self, name: str, *, step: int) -> bool:
        """Whether the optimiser of that name moves its module at ``step``, counted from 0."""
        ...

    def backward(self, batch: Tensor, *, step: int, accelerator: Accelerator) -> dict[str, Tensor]:
        """Add the gradients of one batch, through ``accelerator.backward``.

        Returns:
            The losses by name, detached scalars on the device: the same names for each batch of a step, on
            each process. One that is not finite skips the step.
        """
        ...

    def sample(self, *, accelerator: Accelerator) -> tuple[Tensor, Tensor]:
        """Pictures before and after the network, float32 (B, 3, H, W) in [-1, 1]; nothing may move.

        All processes call it, without gradients and with random states that are set back; the main one's
        pictures are shown.
        """
        ...
