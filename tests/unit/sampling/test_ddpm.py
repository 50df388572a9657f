import math

import numpy as np
import pytest
from gaussian_data import (
    DIT,
    PLAIN_DIT,
    Gaussian,
    cumulative_alphas,
    noise_of,
    relative_error,
    report,
    wavy,
    wavy_network,
)

from dcae_export.sampling.ddpm import ddpm
from dcae_export.sampling.table import Table, sample

# float32 against float64 over 250 steps that contract what went before.
FLOAT32 = 2e-6

# A chain of 250 float32 steps, and a start at variance 1 in place of 1 - 4e-5 * (1 - std^2).
LAW_TOLERANCE = 2e-4

ALPHAS = cumulative_alphas(DIT.schedule)
GAUSSIAN = Gaussian(mean=0.7, std=0.5)


def indices(evaluations: int) -> list[int]:
    """The trained indices that are visited, from the noisiest."""
    return [round(i * 999 / (evaluations - 1)) for i in range(evaluations)][::-1]


def betas_of(evaluations: int) -> dict[int, tuple[float, float, float, float]]:
    """By index: cumulative alpha, that of the next index, beta of the step, variance of its posterior."""
    visited = indices(evaluations)
    found = {}
    for index, following in zip(visited, [*visited[1:], None], strict=True):
        after = 1.0 if following is None else ALPHAS[following]
        beta = 1 - ALPHAS[index] / after
        found[index] = (ALPHAS[index], after, beta, beta * (1 - after) / (1 - ALPHAS[index]))
    return found


def test_learned_variances_are_those_of_a_direct_writing():
    noise = noise_of(8)
    steps = betas_of(250)

    network = wavy_network(DIT)

    def two_heads(state, t):
        return np.concatenate([network(state, t), wavy(-state, t / 1000)])

    x = noise(0).astype(np.float64)
    for row, (index, (alpha, after, beta, posterior)) in enumerate(steps.items()):
        epsilon, v = np.split(two_heads(x, index), 2)
        data = x / math.sqrt(alpha) - math.sqrt(1 / alpha - 1) * epsilon
        x = (
            beta * math.sqrt(after) / (1 - alpha) * data
            + (1 - after) * math.sqrt(1 - beta) / (1 - alpha) * x
        )
        if index > 0:
            share = (v + 1) / 2
            log_variance = share * math.log(beta) + (1 - share) * math.log(posterior)
            x = x + np.exp(0.5 * log_variance) * noise(row + 1)
    table = ddpm(250, DIT)
    assert [row.t for row in table.rows] == indices(250)
    error = relative_error(sample(table, network=two_heads, noise=noise), x)
    report("ddpm:250, learned variances, float64 writing", error)
    assert error < FLOAT32


def law_of(table: Table, network) -> tuple[float, float]:
    """Mean and variance of what a linear network's table gives, from its response to each noise stream."""
    count = len(table.rows) + 1

    def impulse(stream: int) -> np.ndarray:
        unit = np.zeros((count, 1, 1, 1), np.float32)
        unit[stream] = 1
        return unit

    responses = sample(table, network=network, noise=impulse).astype(np.float64).ravel()
    # No row uses the stream of the last one: it adds no noise.
    mean = responses[-1]
    return mean, float(np.sum((responses[:-1] - mean) ** 2))


def variance_of_the_last_prediction() -> float:
    """The last step gives the expected data at index 0, which varies less than the data."""
    kept = ALPHAS[0] * GAUSSIAN.std**2
    return GAUSSIAN.std**2 * kept / (kept + 1 - ALPHAS[0])


def perfect(evaluations: int):
    """Expected noise and, where it lies between its bounds, the exact variance of each reverse step."""
    steps = betas_of(evaluations)

    def network(state, t):
        alpha, after, beta, posterior = steps[int(t)]
        level = math.sqrt(alpha), math.sqrt(1 - alpha)
        epsilon = GAUSSIAN.epsilon(state, *level)
        share = 0.0
        if t > 0:
            uncertainty = (GAUSSIAN.std * level[1] / GAUSSIAN.scale(*level)) ** 2
            exact = posterior + (beta * math.sqrt(after) / (1 - alpha)) ** 2 * uncertainty
            share = math.log(exact / posterior) / math.log(beta / posterior)
        v = np.full_like(epsilon, 2 * share - 1)
        return np.concatenate([epsilon, v], axis=-3).astype(np.float32)

    return network


@pytest.mark.parametrize("evaluations", [10, 50, 250])
def test_exact_variances_give_the_exact_law_in_any_number_of_steps(evaluations: int):
    mean, variance = law_of(ddpm(evaluations, DIT), perfect(evaluations))
    exact = variance_of_the_last_prediction()
    report(f"ddpm:{evaluations}, exact variances, mean of the law", mean / GAUSSIAN.mean - 1)
    report(f"ddpm:{evaluations}, exact variances, variance of the law", variance / exact - 1)
    assert mean == pytest.approx(GAUSSIAN.mean, rel=LAW_TOLERANCE)
    assert variance == pytest.approx(exact, rel=LAW_TOLERANCE)


def test_without_learned_variances_the_law_is_approached_at_first_order():
    def error(evaluations: int) -> float:
        table = ddpm(evaluations, PLAIN_DIT)
        assert all((row.s is None) == (row.t == 0) for row in table.rows)
        mean, variance = law_of(table, GAUSSIAN.network(PLAIN_DIT))
        assert mean == pytest.approx(GAUSSIAN.mean, rel=LAW_TOLERANCE)
        return abs(variance - variance_of_the_last_prediction())

    order = math.log2(error(250) / error(500))
    report("ddpm, the posterior's variance", order, "order")
    assert order == pytest.approx(1, abs=0.15)
