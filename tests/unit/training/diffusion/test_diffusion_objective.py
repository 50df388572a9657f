"""What the network is shown, told by networks that know the data."""

import math

import numpy as np
import pytest
import torch
from autoencoders import random_input
from diffusers import DDPMScheduler
from torch import Tensor
from transformers_factory import FLOW, LINEAR, SCALED_LINEAR

from dcae_export.training.diffusion.objective import Levels, objective

SHAPE = (64, 4, 3, 5)
LATENTS = random_input(*SHAPE)
# Float32 states, divided by the noise of the first level, 0.01.
ROUNDING = 1e-8
KEPT = {
    "linear": np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)),
    "scaled_linear": np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2),
}


class Oracle:
    """Answers with the very noise, from the state, the timestep and the data."""

    def __init__(self, kind: str, *, first: int) -> None:
        self._kept = KEPT[kind]
        self._first = first
        self.seen: list[Tensor] = []

    def __call__(self, state: Tensor, timestep: Tensor) -> Tensor:
        self.seen.append(timestep)
        index = timestep.numpy().astype(np.int64) - self._first
        kept = torch.as_tensor(self._kept[index])[:, None, None, None]
        return ((state.double() - kept.sqrt() * LATENTS) / (1 - kept).sqrt()).float()


def test_a_u_vit_is_told_levels_from_1_on_and_has_to_say_the_noise():
    torch.manual_seed(0)
    oracle = Oracle("scaled_linear", first=1)
    losses = objective(SCALED_LINEAR)(LATENTS, oracle)
    assert set(losses) == {"noise"}
    assert float(losses["noise"]) < ROUNDING


def test_a_dit_is_told_levels_from_0_on_and_has_to_say_noise_and_variance():
    torch.manual_seed(0)
    oracle = Oracle("linear", first=0)

    def predict(state: Tensor, timestep: Tensor) -> Tensor:
        noise = oracle(state, timestep)
        return torch.cat([noise, torch.full_like(noise, -1.0)], dim=1)

    losses = objective(LINEAR)(LATENTS, predict)
    assert set(losses) == {"noise", "variational_bound"}
    assert float(losses["noise"]) < ROUNDING
    assert not (oracle.seen[0] == 0).any()
    assert abs(float(losses["variational_bound"])) < 1e-6


def test_a_usit_is_told_the_time_itself_and_has_to_say_the_velocity():
    torch.manual_seed(0)
    seen: list[Tensor] = []

    def predict(state: Tensor, timestep: Tensor) -> Tensor:
        seen.append(timestep)
        return (LATENTS - state) / (1 - timestep[:, None, None, None])

    losses = objective(FLOW)(LATENTS, predict)
    assert set(losses) == {"velocity"}
    assert float(losses["velocity"]) < ROUNDING
    assert 0 <= float(seen[0].min()) < 0.1
    assert 0.9 < float(seen[0].max()) < 1


@pytest.mark.parametrize(
    ("diffusion", "first"), [(SCALED_LINEAR, 1), (LINEAR, 0)], ids=["uvit", "dit"]
)
def test_every_level_is_as_likely(diffusion, first):
    torch.manual_seed(0)
    count = 100_000
    seen: list[Tensor] = []

    def predict(state: Tensor, timestep: Tensor) -> Tensor:
        seen.append(timestep)
        return torch.zeros(count, 2 if diffusion.learned_variance else 1, 1, 1)

    objective(diffusion)(torch.zeros(count, 1, 1, 1), predict)
    times = np.bincount((seen[0] - first).long().numpy(), minlength=1000)
    assert len(times) == 1000
    # Five standard deviations of a count that is 100 on average.
    assert times.min() > 100 - 5 * math.sqrt(100)
    assert times.max() < 100 + 5 * math.sqrt(100)


@pytest.mark.parametrize("diffusion", [SCALED_LINEAR, FLOW], ids=["levels", "times"])
def test_what_is_drawn_depends_on_torchs_generator_alone(diffusion):
    states: list[Tensor] = []

    def predict(state: Tensor, timestep: Tensor) -> Tensor:
        states.append(state)
        return state

    shown = objective(diffusion)
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        shown(LATENTS, predict)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_the_tables_are_those_of_diffusers():
    scheduler = DDPMScheduler(
        beta_schedule="linear", beta_start=1e-4, beta_end=0.02, variance_type="learned_range"
    )
    levels = Levels(LINEAR.schedule)
    torch.testing.assert_close(levels.signal.square(), scheduler.alphas_cumprod)
    step = levels.step_from(torch.tensor([1, 2, 500, 999]))
    for at, index in enumerate((1, 2, 500, 999)):
        for share, found in (
            (-1.0, step.least_log_variance),
            (1.0, step.greatest_log_variance),
        ):
            expected = scheduler._get_variance(index, predicted_variance=torch.tensor(share))
            # diffusers' products of betas are float32.
            torch.testing.assert_close(found[at].squeeze(), expected, rtol=1e-3, atol=1e-3)


def test_the_first_levels_variance_is_the_seconds():
    levels = Levels(LINEAR.schedule)
    assert levels.least_log_variance[0] == levels.least_log_variance[1]
    assert levels.least_log_variance.isfinite().all()
    assert float(levels.data_share[0]) == pytest.approx(1, abs=1e-6)
    assert levels.step_from(torch.tensor([0, 1])).is_last.flatten().tolist() == [True, False]
