"""Every deterministic solver against the closed form for normally distributed data."""

import math

import numpy as np
import pytest
from gaussian_data import (
    DATA_UVIT,
    DIT,
    SHIFTED_SIT,
    SIT,
    UVIT,
    Gaussian,
    level_at,
    noise_of,
    report,
    states_of,
)

from dcae_export.sampling.schedule import Diffusion
from dcae_export.sampling.solvers import make_table

# Data as wide as scaled latents are, off centre.
GAUSSIAN = Gaussian(mean=0.4, std=0.9)

# Narrower data bends the flow more sharply, so that errors of higher order stand out of float32.
NARROW = Gaussian(mean=0.4, std=0.2)
NARROWER = Gaussian(mean=0.4, std=0.05)


def states(name: str, diffusion: Diffusion, gaussian: Gaussian) -> list[np.ndarray]:
    table = make_table(name, diffusion)
    return states_of(table, gaussian.network(diffusion), noise=noise_of(2))


def error_at(
    name: str, diffusion: Diffusion, gaussian: Gaussian, row: int, end: tuple[float, float]
) -> float:
    """How far the state before a row (or the result) is from the exact one, in standard deviations."""
    table = make_table(name, diffusion)
    run = states(name, diffusion, gaussian)
    here = level_at(diffusion.schedule, table.rows[0].t)
    exact = gaussian.flow(run[0], here, end)
    return float(np.max(np.abs(run[row] - exact)) / gaussian.scale(*end))


# Rounding over 48 evaluations of a state near 1.
FLOAT32 = 2e-6

# What a method leaves with so many evaluations, in standard deviations: measured, with half as much again. Where it
# leaves less than float32 does, float32.
TRUNCATION = {
    ("ddim:50", "linear"): 0.17,
    ("ddim:50", "scaled_linear"): 0.14,
    ("dpmpp-2m:20", "linear"): 0.006,
    ("dpmpp-2m:20", "scaled_linear"): 0.1,
    ("dpmpp-2m:20", "flow"): 0.018,
    ("dpmpp-2m-karras:20", "linear"): 0.2,
    ("dpmpp-2m-karras:20", "scaled_linear"): 0.051,
    ("dpmpp-3m:20", "linear"): 0.057,
    ("dpmpp-3m:20", "scaled_linear"): 0.12,
    ("dpmpp-3m:20", "flow"): 0.03,
    ("dpmpp-3m-karras:20", "linear"): 0.026,
    ("dpmpp-3m-karras:20", "scaled_linear"): 0.0037,
    ("dpmpp-singlestep:30", "linear"): 0.036,
    ("dpmpp-singlestep:30", "scaled_linear"): 0.058,
    ("euler:50", "flow"): 0.11,
    ("heun:50", "flow"): 0.00018,
    ("rk4:48", "flow"): FLOAT32,
    ("dopri5:48", "flow"): FLOAT32,
}
BY_KIND = {"linear": DIT, "scaled_linear": UVIT, "flow": SIT}


@pytest.mark.parametrize(("name", "kind"), TRUNCATION)
def test_a_solver_reaches_the_exact_solution_up_to_its_truncation(name: str, kind: str):
    diffusion = BY_KIND[kind]
    # U-ViT's sampler stops at its least noisy level.
    stops = name.startswith("dpmpp-singlestep")
    end = level_at(diffusion.schedule, 0 if kind == "linear" else 1) if stops else (1.0, 0.0)
    error = error_at(name, diffusion, GAUSSIAN, -1, end)
    report(f"{name}, {kind}, closed form", error, "standard deviations")
    assert error < TRUNCATION[name, kind]


@pytest.mark.parametrize(
    ("solver", "diffusion", "counts", "where", "order"),
    [
        # Betas, trailing spacing: a quarter of the levels is left before the same row of both.
        ("ddim", DIT, (80, 160), 3 / 4, 1),
        ("ddim", UVIT, (80, 160), 3 / 4, 1),
        ("dpmpp-2m", DIT, (40, 80), 3 / 4, 2),
        ("dpmpp-2m", UVIT, (40, 80), 3 / 4, 2),
        ("dpmpp-2m", DATA_UVIT, (40, 80), 3 / 4, 2),
        ("dpmpp-2m", SHIFTED_SIT, (40, 80), 3 / 4, 2),
        # Of second order as diffusers has it: see docs/log.md.
        ("dpmpp-3m", DIT, (100, 200), 3 / 4, 2),
        ("dpmpp-3m", UVIT, (100, 200), 3 / 4, 2),
        ("dpmpp-3m", SHIFTED_SIT, (100, 200), 3 / 4, 2),
        ("dpmpp-singlestep", UVIT, (24, 48), 1 / 2, 3),
    ],
)
def test_the_observed_order_inside_a_run_is_that_of_the_method(
    solver, diffusion, counts, where, order
):
    errors = []
    for count in counts:
        name, row = f"{solver}:{count}", int(where * count)
        end = level_at(diffusion.schedule, make_table(name, diffusion).rows[row].t)
        gaussian = NARROW if solver == "dpmpp-3m" else GAUSSIAN
        errors.append(error_at(name, diffusion, gaussian, row, end))
    check_order(solver, diffusion, errors, order)


@pytest.mark.parametrize(
    ("solver", "counts", "order"),
    [("dpmpp-2m-karras", (41, 81), 2), ("dpmpp-3m-karras", (161, 321), 2)],
)
def test_the_observed_order_to_the_least_noisy_level_is_that_of_the_method(solver, counts, order):
    # The last row goes on to clean data, at first order whatever the solver.
    end = level_at(DIT.schedule, 0)
    errors = [error_at(f"{solver}:{count}", DIT, GAUSSIAN, count - 1, end) for count in counts]
    check_order(solver, DIT, errors, order)


@pytest.mark.parametrize(
    ("solver", "diffusion", "gaussian", "counts", "order"),
    [
        ("euler", SIT, NARROW, (80, 160), 1),
        ("euler", SHIFTED_SIT, NARROW, (80, 160), 1),
        ("heun", SIT, NARROW, (160, 320), 2),
        ("heun", SHIFTED_SIT, NARROW, (160, 320), 2),
        ("rk4", SIT, NARROW, (64, 128), 4),
        ("dopri5", SIT, NARROWER, (96, 192), 5),
    ],
)
def test_the_observed_order_of_a_whole_run_is_that_of_the_method(
    solver, diffusion, gaussian, counts, order
):
    errors = [error_at(f"{solver}:{n}", diffusion, gaussian, -1, (1.0, 0.0)) for n in counts]
    check_order(solver, diffusion, errors, order)


# Half the step divides the error by 2^order up to the terms of next order.
ORDER_MARGIN = 0.35


def check_order(solver, diffusion, errors, order) -> None:
    observed = math.log2(errors[0] / errors[1])
    schedule = diffusion.schedule
    report(f"{solver}, {schedule.kind}, shift {schedule.shift}", observed, "order")
    assert abs(observed - order) < ORDER_MARGIN
