"""One optimizer step on all processes, or on none."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from dcae_export.training.engine.processes import Processes


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What all processes agree on before anything moves: losses, and gradient norms before clipping.

    ``interrupted`` says whether any of them was told to stop.
    """

    losses: dict[str, float]
    gradient_norms: dict[str, float]
    interrupted: bool

    @property
    def losses_are_finite(self) -> bool:
        """Whether every loss of every process is a number."""
        return all(map(math.isfinite, self.losses.values()))

    @property
    def is_finite(self) -> bool:
        """Whether the step may be taken."""
        return self.losses_are_finite and all(map(math.isfinite, self.gradient_norms.values()))


def judge(
    processes: Processes,
    losses: Mapping[str, Tensor],
    optimizers: Mapping[str, Optimizer],
    *,
    clip_norm: float | None,
    interrupted: bool,
) -> Verdict:
    """Unscale and clip the gradients, and agree on the numbers that decide about the step.

    One small reduction, and the one time in a step that the host waits for its device.

    Args:
        processes: Those that have to agree.
        losses: Scalars of this process's samples.
        optimizers: Those that are about to move.
        clip_norm: The bound of each one's gradient norm; None leaves the gradients.
        interrupted: Whether this process was told to stop.
    """
    norms = {
        name: _unscale_and_clip(processes.scaler, o, clip_norm) for name, o in optimizers.items()
    }
    told = torch.full((), float(interrupted), device=processes.device)
    scalars = [value.float().to(processes.device) for value in (*losses.values(), *norms.values())]
    # A mean, so that one process's NaN or infinity is everybody's.
    *values, share_told = processes.mean(torch.stack([*scalars, told]))
    return Verdict(
        losses=dict(zip(losses, values, strict=False)),
        gradient_norms=dict(zip(norms, values[len(losses) :], strict=True)),
        interrupted=share_told > 0,
    )


def move(processes: Processes, optimizers: Mapping[str, Optimizer]) -> None:
    """Take the step: gradients are unscaled already, and finite."""
    for optimizer in optimizers.values():
        optimizer.step()
    if processes.scaler is not None:
        processes.scaler.update()


def adjust_scale(processes: Processes) -> bool:
    """After a step that is not taken: whether float16's loss scale was the reason and could be lowered."""
    scaler = processes.scaler
    if scaler is None:
        return False
    before = scaler.get_scale()
    scaler.update()
    # Below 1 it would make gradients smaller than they are: then the scale is not what is wrong.
    return 1 <= scaler.get_scale() < before


class BufferGuard:
    """Buffers, as running statistics, that go back to what they were where a step is not taken.

    A forward pass moves them before anybody knows that its batch is no good.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        """Guard all buffers of the modules."""
        self._buffers = [buffer for module in modules for buffer in module.buffers()]
        self._kept = [buffer.clone() for buffer in self._buffers]

    def keep(self) -> None:
        """Remember the buffers as they are."""
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage] - all in one call

    def restore(self) -> None:
        """Set them back to what they were."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._kept)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage] - all in one call


def _unscale_and_clip(
    scaler: GradScaler | None, optimizer: Optimizer, clip_norm: float | None
) -> Tensor:
    """The L2 norm of the gradients before clipping, over all shards."""
    # Not by way of Accelerate's own methods: they unscale all optimizers at once and update the scale after each.
    if scaler is not None:
        scaler.unscale_(optimizer)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = get_total_norm(gradients)
    if clip_norm is not None:
        clip_grads_with_norm_(parameters, clip_norm, norm)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm
