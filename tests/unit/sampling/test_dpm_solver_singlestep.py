import math

import numpy as np
import pytest
from gaussian_data import (
    DIT,
    UVIT,
    cumulative_alphas,
    noise_of,
    relative_error,
    report,
    wavy_network,
)

from dcae_export.sampling.dpm_solver_singlestep import singlestep
from dcae_export.sampling.table import sample

# float32 against float64.
FLOAT32 = 2e-6

# One or two steps divide the rounding of the first prediction by its signal, 0.07.
FEW_STEPS = 2e-5


class ContinuousSchedule:
    """ln(signal) linear between the trained levels n / 1000, and its inverse."""

    def __init__(self, diffusion):
        self.knots = np.arange(1, 1001) / 1000
        self.logs = 0.5 * np.log(cumulative_alphas(diffusion.schedule))

    def log_alpha(self, t):
        return np.interp(t, self.knots, self.logs)

    def alpha(self, t):
        return math.exp(self.log_alpha(t))

    def sigma(self, t):
        return math.sqrt(1 - self.alpha(t) ** 2)

    def half_log_snr(self, t):
        return self.log_alpha(t) - math.log(self.sigma(t))

    def time(self, half_log_snr):
        log_alpha = -0.5 * math.log1p(math.exp(-2 * half_log_snr))
        return np.interp(log_alpha, self.logs[::-1], self.knots[::-1])


def orders_of(evaluations: int) -> list[int]:
    """The three cases of the official code."""
    if evaluations % 3 == 0:
        return [3] * (evaluations // 3 + 1 - 2) + [2, 1]
    return [3] * (evaluations // 3 + 1 - 1) + [evaluations % 3]


def sample_directly(x, schedule, predict, evaluations):
    """The official sampler in float64: inner times by the inverse of lambda, updates as printed."""
    grid = np.linspace(1, 1 / 1000, evaluations + 1)
    first = 0
    for order in orders_of(evaluations):
        times = grid[first : first + order + 1]
        first += order
        s, t = times[0], times[-1]
        lambdas = [schedule.half_log_snr(time) for time in times]
        h = lambdas[-1] - lambdas[0]
        inner = [
            schedule.time(lambdas[0] + (lambdas[i] - lambdas[0]) / h * h) for i in range(1, order)
        ]

        def moved(factor, time, x=x, s=s, h=h):
            ratio = schedule.sigma(time) / schedule.sigma(s)
            return ratio * x, schedule.alpha(time) * math.expm1(-factor * h)

        def data(x, time):
            epsilon = predict(x, 1000 * time)
            return (x - schedule.sigma(time) * epsilon) / schedule.alpha(time)

        m0 = data(x, s)
        kept, phi = moved(1, t)
        if order == 1:
            x = kept - phi * m0
            continue
        r1 = (lambdas[1] - lambdas[0]) / h
        kept_1, phi_1 = moved(r1, inner[0])
        m1 = data(kept_1 - phi_1 * m0, inner[0])
        if order == 2:
            x = kept - phi * m0 - phi / (2 * r1) * (m1 - m0)
            continue
        r2 = (lambdas[2] - lambdas[0]) / h
        kept_2, phi_2 = moved(r2, inner[1])
        slope = schedule.alpha(inner[1]) * (math.expm1(-r2 * h) / (r2 * h) + 1)
        m2 = data(kept_2 - phi_2 * m0 + r2 / r1 * slope * (m1 - m0), inner[1])
        slope = schedule.alpha(t) * (math.expm1(-h) / h + 1)
        x = kept - phi * m0 + 1 / r2 * slope * (m2 - m0)
    return x


@pytest.mark.parametrize("evaluations", [1, 2, 3, 4, 5, 6, 20, 25, 30, 60])
def test_a_run_is_that_of_the_official_sampler(evaluations: int):
    noise = noise_of(4)
    expected = sample_directly(
        noise(0).astype(np.float64),
        ContinuousSchedule(UVIT),
        wavy_network(UVIT),
        evaluations,
    )
    table = singlestep(evaluations, UVIT)
    result = sample(table, network=wavy_network(UVIT), noise=noise)
    error = relative_error(result, expected)
    report(f"dpmpp-singlestep:{evaluations}, float64 writing", error)
    assert error < (FEW_STEPS if evaluations <= 2 else FLOAT32)


def test_thirty_evaluations_are_nine_steps_of_third_order_one_of_second_and_one_of_first():
    rows = singlestep(30, UVIT).rows
    assert [i for i, row in enumerate(rows) if row.base == "x"] == [*range(2, 27, 3), 28, 29]
    assert [row.t for row in rows] == pytest.approx(np.linspace(1000, 1, 31)[:-1], rel=2**-23)


def test_a_network_that_counts_from_0_is_given_one_less():
    ours = [row.t for row in singlestep(30, DIT).rows]
    assert ours == pytest.approx(np.linspace(999, 0, 31)[:-1], rel=2**-22)
