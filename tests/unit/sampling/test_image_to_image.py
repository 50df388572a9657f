"""Runs that begin at a later row, from a picture's latent and noise."""

import dataclasses

import numpy as np
import pytest
from gaussian_data import (
    DIT,
    PLAIN_DIT,
    SHIFTED_SIT,
    SIT,
    UVIT,
    Gaussian,
    level_at,
    noise_of,
    relative_error,
    report,
    states_of,
    wavy_network,
)

from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import Table, sample

# One float32 operation in place of two.
ROUNDING = 1e-6

# What the methods leave of the way from the row to data, in standard deviations: ddim the most, 0.051.
TRUNCATION = 0.06

WITHOUT_HISTORY = [
    ("ddim:12", DIT),
    ("ddim:12", UVIT),
    ("ddpm:12", PLAIN_DIT),
    ("dpmpp-singlestep:12", UVIT),
    ("euler:12", SHIFTED_SIT),
    ("heun:12", SIT),
    ("rk4:12", SIT),
    ("dopri5:12", SIT),
]


def starting_from(table: Table, row: int, start: tuple[float, float]) -> Table:
    rows = list(table.rows)
    rows[row] = dataclasses.replace(rows[row], start=start)
    return dataclasses.replace(table, rows=tuple(rows))


@pytest.mark.parametrize(("name", "diffusion"), WITHOUT_HISTORY)
def test_a_run_from_a_later_row_is_the_rest_of_the_whole_run(name, diffusion):
    table, network, noise = make_table(name, diffusion), wavy_network(diffusion), noise_of(3)
    states = states_of(table, network, noise=noise)
    starts = [index for index, row in enumerate(table.rows) if row.start is not None]
    for row in starts:
        # Signal 1 and noise 0: the run begins with exactly the state that is given.
        given = starting_from(table, row, (1.0, 0.0))
        rest = sample(given, network=network, noise=noise, init_latent=states[row], first_row=row)
        assert rest.tobytes() == states[-1].tobytes()


@pytest.mark.parametrize(("name", "diffusion"), [*WITHOUT_HISTORY, ("dpmpp-3m:12", UVIT)])
def test_a_run_begins_with_data_and_noise_in_the_shares_of_its_row(name, diffusion):
    table, noise = make_table(name, diffusion), noise_of(3)
    latent = noise_of(77)(0)
    row = max(index for index, row in enumerate(table.rows) if row.start is not None)
    first, *_ = states_of(
        table, wavy_network(diffusion), noise=noise, init_latent=latent, first_row=row
    )
    signal, share = level_at(diffusion.schedule, table.rows[row].t)
    expected = signal * latent.astype(np.float64) + share * noise(0).astype(np.float64)
    assert relative_error(first, expected) < ROUNDING


@pytest.mark.parametrize("name", ["dpmpp-2m:12", "dpmpp-3m:12"])
@pytest.mark.parametrize("diffusion", [DIT, UVIT, SHIFTED_SIT])
def test_the_first_step_of_a_multistep_run_is_the_step_of_first_order(name, diffusion):
    table, network = make_table(name, diffusion), wavy_network(diffusion)
    options = {"noise": noise_of(3), "init_latent": noise_of(77)(0), "first_row": 7}
    begin, after, *_ = states_of(table, network, **options)
    here = level_at(diffusion.schedule, table.rows[7].t)
    there = level_at(diffusion.schedule, table.rows[8].t)
    row = table.rows[7]
    data = row.m[0] * begin.astype(np.float64) + row.m[1] * network(begin, row.t)
    kept = there[1] / here[1]
    assert relative_error(after, kept * begin + (there[0] - here[0] * kept) * data) < ROUNDING


def test_the_second_step_of_a_second_order_run_is_that_of_any_other():
    table, network, noise = make_table("dpmpp-2m:12", UVIT), wavy_network(UVIT), noise_of(3)
    states = states_of(table, network, noise=noise)
    given = starting_from(table, 7, (1.0, 0.0))
    rest = states_of(given, network, noise=noise, init_latent=states[7], first_row=7)
    # With the data predicted at the row before, the second step needs nothing older.
    before, row = table.rows[7], table.rows[8]
    older, newer = (
        r.m[0] * state.astype(np.float64) + r.m[1] * network(state, r.t)
        for r, state in ((before, rest[0]), (row, rest[1]))
    )
    expected = row.x[0] * rest[1] + row.x[1] * newer + row.x[2] * older
    assert relative_error(rest[2], expected) < ROUNDING


@pytest.mark.parametrize(
    ("name", "diffusion"),
    [
        ("ddim:100", DIT),
        ("dpmpp-2m:40", UVIT),
        ("dpmpp-2m-karras:40", UVIT),
        ("dpmpp-3m:40", UVIT),
        ("dpmpp-3m:40", SHIFTED_SIT),
        ("dpmpp-singlestep:60", UVIT),
        ("heun:60", SIT),
        ("dopri5:60", SIT),
    ],
)
@pytest.mark.parametrize("strength", [0.3, 0.7])
def test_a_run_from_data_and_noise_follows_the_exact_flow(name, diffusion, strength: float):
    gaussian = Gaussian(mean=0.4, std=0.9)
    table, latent = make_table(name, diffusion), 0.4 + 0.9 * noise_of(77)(0)
    row = table.start_row(strength)
    options = {"noise": noise_of(3), "init_latent": latent, "first_row": row}
    begin, *_, result = states_of(table, gaussian.network(diffusion), **options)
    here = level_at(diffusion.schedule, table.rows[row].t)
    exact = gaussian.flow(begin, here, (1.0, 0.0))
    error = float(np.max(np.abs(result - exact))) / gaussian.std
    report(f"{name}, strength {strength}, closed form", error, "standard deviations")
    assert error < TRUNCATION


def test_strength_one_is_the_whole_run_and_knows_nothing_of_the_picture():
    table, network, noise = make_table("dpmpp-2m:8", UVIT), wavy_network(UVIT), noise_of(3)
    whole = sample(table, network=network, noise=noise)
    same = sample(
        table,
        network=network,
        noise=noise,
        init_latent=noise_of(77)(0),
        first_row=table.start_row(1),
    )
    assert np.array_equal(whole, same)
