"""Blocks of a transformer that keep their inputs only: the way back computes the rest again."""

from functools import partial

from torch import nn
from torch.utils.checkpoint import (
    checkpoint,  # pyright: ignore[reportUnknownVariableType] - half typed
)

from dcae_export.models.dit import DiT, DiTBlock
from dcae_export.models.uvit import UViT, UViTBlock


def recompute_blocks(network: DiT | UViT) -> None:
    """Have each block of a network run again on the way back; nothing in one is random.

    Names in its state dict stay. A block's own call is left to what wraps it, such as FSDP2's gathering.
    """
    for part in network.modules():
        if isinstance(part, DiTBlock | UViTBlock):
            _recompute(part)


def _recompute(block: nn.Module) -> None:
    block.forward = partial(
        checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
    )
