"""Tensors that processes share out (FSDP2), as whole ones on the CPU, and back."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def gather(tensors: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """Whole tensors on the CPU; every process calls this at the same time, and one may keep them.

    Where nothing is shared out and the tensors are on the CPU, they are returned and not copied.
    """
    wholes: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        # One tensor at a time: no device ever holds more than its share and one whole tensor.
        whole = _whole(tensor.detach())
        if keep:
            wholes[name] = whole.cpu()
    return wholes


@torch.no_grad()
def put(whole: Tensor, target: Tensor) -> None:
    """Copy a whole tensor, the same on every process, into one of its shape that may be shared out."""
    if isinstance(target, DTensor):
        # src_data_rank=None: each process cuts its own share, and nothing is sent.
        whole = distribute_tensor(
            whole.to(target.device), target.device_mesh, target.placements, src_data_rank=None
        )
    target.copy_(whole)


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
