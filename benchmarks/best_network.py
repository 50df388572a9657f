"""The network that a training aims at: no other predicts the noise or the velocity with a smaller mean square error.

What its samples lack is the sampler's and the schedule's doing, not a training's.
"""

import torch
from torch import Tensor, nn

from benchmarks.toy_distribution import ToyDistribution
from dcae_export.sampling.schedule import (
    Diffusion,
    Level,
    Schedule,
    continuous_levels,
    flow_level,
)

# The reverse step's variance where the data is known: the lower of the two bounds between which a network answers.
_LEAST_VARIANCE = -1.0


class BestNetwork(nn.Module):
    """Knows the mean of the latents that a state can have come from, and answers with what a transformer learns."""

    def __init__(self, distribution: ToyDistribution, diffusion: Diffusion) -> None:
        super().__init__()
        self._distribution = distribution
        self._diffusion = diffusion

    def forward(self, state: Tensor, timestep: Tensor, label: Tensor) -> Tensor:
        """States (N, C, h, w) at one time, timestep (N,) and labels (N,) to the noise or the velocity in them."""
        level = _level_at(self._diffusion.schedule, float(timestep[0]))
        data, noise = self._distribution.origin(
            state.numpy(), label.numpy(), signal=level.signal, noise=level.noise
        )
        has_velocity = self._diffusion.prediction == "velocity"
        prediction = torch.from_numpy(data - noise if has_velocity else noise)
        if not self._diffusion.learned_variance:
            return prediction
        return torch.cat([prediction, torch.full_like(prediction, _LEAST_VARIANCE)], dim=1)


def _level_at(schedule: Schedule, t: float) -> Level:
    """The level of which the network is told by ``t``."""
    if schedule.kind == "flow":
        return flow_level(1 - t)
    # DiT counts from 0, U-ViT from 1.
    steps_taken = t + 1 if schedule.kind == "linear" else t
    (level,) = continuous_levels(schedule, [steps_taken / schedule.train_steps])
    return level
