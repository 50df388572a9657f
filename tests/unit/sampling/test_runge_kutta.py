import itertools
import math

import numpy as np
import pytest
from gaussian_data import SHIFTED_SIT, SIT, noise_of, relative_error, report, wavy_network
from scipy.integrate import RK45, solve_ivp

from dcae_export.sampling.runge_kutta import DORMAND_PRINCE, EULER, HEUN, RK4
from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import sample

# float32 sums of a few terms per evaluation, against float64; the velocity is bounded and contracts nothing.
FLOAT32 = 2e-6

of_both_flows = pytest.mark.parametrize(
    "diffusion", [SIT, SHIFTED_SIT], ids=lambda diffusion: f"shift {diffusion.schedule.shift}"
)


def grid(diffusion, steps: int) -> list[float]:
    """The times between which the steps run."""
    shift = diffusion.schedule.shift
    noises = [1 - i / steps for i in range(steps + 1)]
    return [1 - shift * noise / (1 + (shift - 1) * noise) for noise in noises]


def step_of_scipy(velocity, start, end, y):
    """One step of RK45 of this length, whatever it thinks of its error."""
    solver = RK45(
        lambda t, y: velocity(y, t),
        start,
        y,
        end,
        first_step=end - start,
        rtol=1e3,
        atol=1e9,
    )
    solver.step()
    assert solver.t == end
    return solver.y


def step_of_euler(velocity, start, end, y):
    return y + (end - start) * velocity(y, start)


def step_of_heun(velocity, start, end, y):
    h = end - start
    first = velocity(y, start)
    return y + h / 2 * (first + velocity(y + h * first, end))


def step_of_runge_and_kutta(velocity, start, end, y):
    h, middle = end - start, (start + end) / 2
    k1 = velocity(y, start)
    k2 = velocity(y + h / 2 * k1, middle)
    k3 = velocity(y + h / 2 * k2, middle)
    k4 = velocity(y + h * k3, end)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@of_both_flows
@pytest.mark.parametrize(
    ("name", "step", "steps"),
    [
        ("euler:25", step_of_euler, 25),
        ("heun:50", step_of_heun, 25),
        ("rk4:40", step_of_runge_and_kutta, 10),
        ("dopri5:60", step_of_scipy, 10),
    ],
)
def test_a_method_is_that_of_its_definition_or_of_scipy(name, step, steps, diffusion):
    noise = noise_of(5)
    network, y = wavy_network(diffusion), noise(0).astype(np.float64).ravel()
    times = grid(diffusion, steps)
    for start, end in itertools.pairwise(times):
        y = step(network, start, end, y)
    table = make_table(name, diffusion)
    result = sample(table, network=network, noise=noise)
    error = relative_error(result.ravel(), y)
    report(f"{name}, shift {diffusion.schedule.shift}, its definition or SciPy", error)
    assert error < FLOAT32


@of_both_flows
@pytest.mark.parametrize("name", ["rk4:160", "dopri5:120"])
def test_many_steps_of_high_order_reach_the_solution_of_scipy(name, diffusion):
    network, noise = wavy_network(diffusion), noise_of(6)
    y = noise(0).astype(np.float64).ravel()
    exact = solve_ivp(lambda t, y: network(y, t), (0, 1), y, rtol=1e-10, atol=1e-10).y[:, -1]
    result = sample(make_table(name, diffusion), network=network, noise=noise)
    assert relative_error(result.ravel(), exact) < FLOAT32


@pytest.mark.parametrize("tableau", [EULER, HEUN, RK4, DORMAND_PRINCE])
def test_a_tableau_is_explicit_and_consistent(tableau):
    assert [len(weights) for weights in tableau.stages] == list(range(1, tableau.evaluations))
    assert math.fsum(tableau.step) == pytest.approx(1, abs=1e-15)
