"""A sampler's table walked in PyTorch: docs/bundle-format.md, section Sampling, written down a second time."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dcae_export.sampling.table import Table


@torch.inference_mode()
def sample_in_torch(
    network: nn.Module, table: Table, labels: Tensor, *, noise: Callable[[int], Tensor]
) -> Tensor:
    """Latents (N, C, h, w) of labels (N,), without guidance.

    Args:
        network: State, timestep (N,) and labels to what it predicts; twice the channels with a learned variance.
        table: The sampler.
        labels: What to draw.
        noise: The number of a stream to standard normals of the latents' shape.
    """
    state = base = table.init * noise(0)
    history: list[Tensor] = []
    for index, row in enumerate(table.rows):
        output = network(state, torch.full((len(state),), row.t), labels)
        prediction, variance = output.tensor_split([state.shape[1]], dim=1)
        history.insert(0, row.m[0] * state + row.m[1] * prediction)
        following = _weighted(row.x, [base, *history])
        if row.s is not None:
            following = following + row.s * noise(index + 1)
        if row.v is not None:
            low, high = row.v
            log_variance = low + (variance + 1) / 2 * (high - low)
            following = following + (0.5 * log_variance).exp() * noise(index + 1)
        if row.base is not None:
            base = following if row.base == "x" else _weighted(row.base, [base, *history])
        state = following
    return state


def _weighted(coefficients: Sequence[float], tensors: Sequence[Tensor]) -> Tensor:
    """Of the history no more than there are coefficients."""
    terms = [weight * tensor for weight, tensor in zip(coefficients, tensors, strict=False)]
    return torch.stack(terms).sum(dim=0)
