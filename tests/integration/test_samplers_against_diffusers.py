"""Our tables against diffusers' schedulers, configured alike; one nonlinear network for both."""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.schedulers import scheduling_ddpm
from gaussian_data import (
    DATA_UVIT,
    DIT,
    PLAIN_DIT,
    SHIFTED_SIT,
    SIT,
    UVIT,
    noise_of,
    relative_error,
    report,
    wavy,
    wavy_network,
)

from dcae_export.sampling.schedule import Diffusion
from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import Table, sample

pytestmark = [
    pytest.mark.integration,
    # diffusers hands torch's tensors to numpy.array, of which NumPy 2 disapproves.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

# Two float32 orders of the same few operations, at up to 250 rows.
FLOAT32 = 5e-6

# diffusers multiplies a thousand alphas in float32; the levels of Karras and the variances of ddpm magnify that.
FLOAT32_SCHEDULE = 2e-5

# One or two steps divide the rounding of the first prediction by its signal, 0.006 over linear betas.
FEW_STEPS = 1e-4

# Levels of a Karras run are given to the network as real indices here, rounded there.
KARRAS_INDEX = 1.0

COUNTS = (1, 2, 7, 10, 20, 25, 50)


def schedule_options(diffusion: Diffusion) -> dict[str, object]:
    schedule = diffusion.schedule
    return {
        "num_train_timesteps": schedule.train_steps,
        "beta_start": schedule.beta_start,
        "beta_end": schedule.beta_end,
        "beta_schedule": schedule.kind,
        "prediction_type": {"epsilon": "epsilon", "x0": "sample"}[diffusion.prediction],
    }


def multistep_scheduler(diffusion: Diffusion, order: int, **options) -> DPMSolverMultistepScheduler:
    if diffusion.schedule.kind == "flow":
        given = {
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "flow_shift": diffusion.schedule.shift,
        }
    else:
        given = schedule_options(diffusion) | {"timestep_spacing": "trailing"}
    return DPMSolverMultistepScheduler(
        solver_order=order,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        final_sigmas_type="zero",
        lower_order_final=True,
        **given,
        **options,
    )


def run(
    scheduler, diffusion: Diffusion, table: Table, x: torch.Tensor, *, first: int = 0
) -> np.ndarray:
    """A run of diffusers from its step ``first``; the network is told the times of our table."""
    network = wavy_network(diffusion)
    # diffusers' flows predict the derivative by noise, ours that by t.
    sign = -1.0 if diffusion.schedule.kind == "flow" else 1.0
    steps = zip(scheduler.timesteps, table.rows, strict=True)
    for timestep, row in list(steps)[first:]:
        output = sign * torch.from_numpy(network(x[0].numpy(), row.t))[None]
        x = scheduler.step(output, timestep, x, return_dict=False)[0]
    return x[0].numpy()


def check(name: str, diffusion: Diffusion, scheduler, *, tolerance: float = FLOAT32) -> None:
    table, noise = make_table(name, diffusion), noise_of(1)
    expected = run(scheduler, diffusion, table, torch.from_numpy(noise(0))[None])
    error = relative_error(sample(table, network=wavy_network(diffusion), noise=noise), expected)
    schedule = diffusion.schedule
    largest = np.max(np.abs(expected))
    report(
        f"{name}, {schedule.kind}, shift {schedule.shift}, up to {largest:.1f}, diffusers", error
    )
    assert error < (FEW_STEPS if len(table.rows) <= 2 else tolerance)


def assert_same_indices(name: str, diffusion: Diffusion, scheduler, *, within: float = 0) -> None:
    first = 1 if diffusion.schedule.kind == "scaled_linear" else 0
    ours = [row.t - first for row in make_table(name, diffusion).rows]
    assert ours == pytest.approx(scheduler.timesteps.tolist(), abs=within)


# diffusers' DDIM goes to the index 1000 // N below, which is the next one only where N divides 1000.
@pytest.mark.parametrize("count", [1, 2, 10, 20, 25, 50, 250])
@pytest.mark.parametrize("diffusion", [PLAIN_DIT, UVIT, DATA_UVIT])
def test_ddim(count, diffusion):
    scheduler = DDIMScheduler(
        **schedule_options(diffusion),
        timestep_spacing="trailing",
        set_alpha_to_one=True,
        clip_sample=False,
    )
    scheduler.set_timesteps(count)
    assert_same_indices(f"ddim:{count}", diffusion, scheduler)
    check(f"ddim:{count}", diffusion, scheduler)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("diffusion", [DIT, UVIT])
def test_ddim_is_dpm_solver_of_first_order(count, diffusion):
    scheduler = multistep_scheduler(diffusion, 1)
    scheduler.set_timesteps(count)
    assert_same_indices(f"ddim:{count}", diffusion, scheduler)
    check(f"ddim:{count}", diffusion, scheduler)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("diffusion", [DIT, UVIT, DATA_UVIT, SIT, SHIFTED_SIT])
@pytest.mark.parametrize("order", [2, 3])
def test_multistep(order, count, diffusion):
    scheduler = multistep_scheduler(diffusion, order)
    scheduler.set_timesteps(count)
    name = f"dpmpp-{order}m:{count}"
    if diffusion.schedule.kind == "flow":
        ours = [1 - row.t for row in make_table(name, diffusion).rows]
        assert ours == pytest.approx(scheduler.sigmas[:-1].tolist(), abs=1e-6)
    else:
        assert_same_indices(name, diffusion, scheduler)
    check(name, diffusion, scheduler)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("diffusion", [DIT, UVIT])
@pytest.mark.parametrize("order", [2, 3])
def test_multistep_with_the_levels_of_karras(order, count, diffusion):
    scheduler = multistep_scheduler(diffusion, order, use_karras_sigmas=True)
    scheduler.set_timesteps(count)
    name = f"dpmpp-{order}m-karras:{count}"
    assert_same_indices(name, diffusion, scheduler, within=KARRAS_INDEX)
    check(name, diffusion, scheduler, tolerance=FLOAT32_SCHEDULE)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("diffusion", [SIT, SHIFTED_SIT])
def test_euler(count, diffusion):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=diffusion.schedule.shift)
    scheduler.set_timesteps(sigmas=[1 - i / count for i in range(count)])
    ours = [1 - row.t for row in make_table(f"euler:{count}", diffusion).rows]
    assert ours == pytest.approx(scheduler.sigmas[:-1].tolist(), abs=1e-6)
    check(f"euler:{count}", diffusion, scheduler)


@pytest.mark.parametrize("count", [2, 10, 50, 250])
@pytest.mark.parametrize("diffusion", [DIT, PLAIN_DIT], ids=["learned", "posterior"])
def test_ddpm(count, diffusion, monkeypatch):
    table, noise = make_table(f"ddpm:{count}", diffusion), noise_of(1)
    times = [int(row.t) for row in table.rows]
    scheduler = DDPMScheduler(
        **schedule_options(diffusion),
        variance_type="learned_range" if diffusion.learned_variance else "fixed_small",
        clip_sample=False,
    )
    scheduler.set_timesteps(timesteps=times)

    predict = wavy_network(diffusion)

    def network(state: np.ndarray, t: float) -> np.ndarray:
        heads = [predict(state, t), wavy(-state, t / 1000)]
        return np.concatenate(heads[: 1 + diffusion.learned_variance])

    x = torch.from_numpy(noise(0))[None]
    for row, t in enumerate(times):
        z = torch.from_numpy(noise(row + 1))[None]
        monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, z=z, **__: z)
        output = torch.from_numpy(network(x[0].numpy(), t))[None]
        x = scheduler.step(output, t, x, return_dict=False)[0]
    error = relative_error(sample(table, network=network, noise=noise), x[0].numpy())
    report(f"ddpm:{count}, learned {diffusion.learned_variance}, diffusers", error)
    assert error < (FEW_STEPS if count <= 2 else FLOAT32_SCHEDULE)


@pytest.mark.parametrize("diffusion", [UVIT, SHIFTED_SIT])
def test_image_to_image_with_dpm_solver_of_second_order(diffusion):
    table, noise, latent = make_table("dpmpp-2m:20", diffusion), noise_of(1), noise_of(77)(0)
    row = table.start_row(0.6)
    scheduler = multistep_scheduler(diffusion, 2)
    scheduler.set_timesteps(20)
    scheduler.set_begin_index(row)
    x = scheduler.add_noise(
        torch.from_numpy(latent)[None],
        torch.from_numpy(noise(0))[None],
        scheduler.timesteps[row : row + 1],
    )
    expected = run(scheduler, diffusion, table, x, first=row)
    network = wavy_network(diffusion)
    result = sample(table, network=network, noise=noise, init_latent=latent, first_row=row)
    error = relative_error(result, expected)
    report(f"dpmpp-2m:20 from row {row}, {diffusion.schedule.kind}, diffusers", error)
    assert error < FLOAT32
