"""What a network is shown of a batch of latents, and how far off its answer is.

Levels and noise come from torch's own generators of the latents' device, so a run that is resumed draws on.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from dcae_export.sampling.schedule import (
    Diffusion,
    Schedule,
    alphas_cumprod,
    betas,
    index_levels,
)
from dcae_export.training.diffusion.loss import (
    ReverseStep,
    noise_loss,
    variational_bound,
    velocity_loss,
)

Predict = Callable[[Tensor, Tensor], Tensor]
"""State (B, C, H, W) and timestep (B,) to what the network says of them."""

NOISE, VARIANCE, VELOCITY = "noise", "variational_bound", "velocity"


class Levels(nn.Module):
    """The trained levels of a schedule with betas, as tables on the training's device: float32, (train_steps,)."""

    timestep: Tensor
    signal: Tensor
    noise: Tensor
    data_share: Tensor
    least_log_variance: Tensor
    greatest_log_variance: Tensor

    def __init__(self, schedule: Schedule) -> None:
        """Make the tables in float64, and round them once."""
        super().__init__()
        count = schedule.train_steps
        levels = index_levels(schedule, range(count))
        beta, kept = betas(schedule), alphas_cumprod(schedule)
        kept_before = np.append(1.0, kept[:-1])
        variance = beta * (1 - kept_before) / (1 - kept)
        # The first would be 0.
        variance[0] = variance[1]
        tables = {
            "timestep": [level.t for level in levels],
            "signal": [level.signal for level in levels],
            "noise": [level.noise for level in levels],
            "data_share": beta * np.sqrt(kept_before) / (1 - kept),
            "least_log_variance": np.log(variance),
            "greatest_log_variance": np.log(beta),
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.tensor(np.asarray(table, dtype=np.float32)))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.timestep)

    def step_from(self, index_B: Tensor) -> ReverseStep:
        """The steps back from the levels of these indices."""

        def at(table: Tensor) -> Tensor:
            return table[index_B][:, None, None, None]

        return ReverseStep(
            signal=at(self.signal),
            noise=at(self.noise),
            data_share=at(self.data_share),
            least_log_variance=at(self.least_log_variance),
            greatest_log_variance=at(self.greatest_log_variance),
            is_last=(index_B == 0)[:, None, None, None],
        )


class NoiseObjective(nn.Module):
    """The noise in a state of a uniformly drawn level, and its reverse step's variance where that is learned."""

    def __init__(self, diffusion: Diffusion) -> None:
        super().__init__()
        self.levels = Levels(diffusion.schedule)
        self.learned_variance = diffusion.learned_variance

    def forward(self, latents_BCHW: Tensor, predict: Predict) -> dict[str, Tensor]:
        """The losses, whose sum is minimised.

        The bound's weight is 1: over 1000 levels of which one is drawn, that is 0.001 times the whole bound
        (Nichol and Dhariwal, arXiv 2102.09672, equation 16).
        """
        batch, device = len(latents_BCHW), latents_BCHW.device
        index_B = torch.randint(self.levels.count, (batch,), device=device)
        noise_BCHW = torch.randn_like(latents_BCHW)
        step = self.levels.step_from(index_B)
        state_BCHW = step.signal * latents_BCHW + step.noise * noise_BCHW
        answer = predict(state_BCHW, self.levels.timestep[index_B])
        if not self.learned_variance:
            return {NOISE: noise_loss(answer, noise_BCHW)}
        predicted_BCHW, variance_BCHW = answer.chunk(2, dim=1)
        bound_B = variational_bound(
            step,
            data_BCHW=latents_BCHW,
            noise_BCHW=noise_BCHW,
            predicted_BCHW=predicted_BCHW,
            variance_BCHW=variance_BCHW,
        )
        return {NOISE: noise_loss(predicted_BCHW, noise_BCHW), VARIANCE: bound_B.mean()}


class VelocityObjective(nn.Module):
    """The velocity of a flow's state at a time that is drawn uniformly from [0, 1)."""

    def forward(self, latents_BCHW: Tensor, predict: Predict) -> dict[str, Tensor]:
        """The loss."""
        t_B = torch.rand(len(latents_BCHW), device=latents_BCHW.device)
        noise_BCHW = torch.randn_like(latents_BCHW)
        t_B111 = t_B[:, None, None, None]
        state_BCHW = t_B111 * latents_BCHW + (1 - t_B111) * noise_BCHW
        return {VELOCITY: velocity_loss(predict(state_BCHW, t_B), latents_BCHW, noise_BCHW)}


def objective(diffusion: Diffusion) -> NoiseObjective | VelocityObjective:
    """What a network of this diffusion is trained for: noise over betas, or velocity."""
    return VelocityObjective() if diffusion.prediction == "velocity" else NoiseObjective(diffusion)
