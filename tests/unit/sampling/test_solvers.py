import dataclasses
import itertools
import json

import pytest
from gaussian_data import (
    DATA_UVIT,
    DIT,
    PLAIN_DIT,
    SHIFTED_SIT,
    SIT,
    UVIT,
    cumulative_alphas,
    level_at,
)
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from dcae_export.bundle.manifest import SamplerTable
from dcae_export.errors import ConfigError, UsageError
from dcae_export.sampling.schedule import MAX_TRAIN_STEPS, Diffusion, Schedule
from dcae_export.sampling.solvers import MAX_EVALUATIONS, SOLVERS, make_table

DIFFUSIONS = (DIT, PLAIN_DIT, UVIT, DATA_UVIT, SIT, SHIFTED_SIT)
FITTING = [
    (name, diffusion)
    for name, solver in SOLVERS.items()
    for diffusion in DIFFUSIONS
    if solver.fits(diffusion)
]
# Twelve evaluations are possible for every solver.
COUNT = 12

# A share of data or noise, at most 1, of a t that was rounded to float32: at most 1000.
START_TOLERANCE = 1e-6

# Solvers that need signal begin a flow here.
ONE_TRAINING_STEP = 1.001e-3

# What a manifest may take in all.
MANIFEST_BYTES = 4 * 2**20


def test_the_solvers_have_these_names_in_this_order():
    assert list(SOLVERS) == [
        "ddim",
        "ddpm",
        "dpmpp-2m",
        "dpmpp-2m-karras",
        "dpmpp-3m",
        "dpmpp-3m-karras",
        "dpmpp-singlestep",
        "euler",
        "heun",
        "rk4",
        "dopri5",
    ]
    assert all("\n" not in solver.summary for solver in SOLVERS.values())


def test_every_solver_goes_with_the_networks_that_it_is_for():
    fits = {name: {d.schedule.kind for n, d in FITTING if n == name} for name in SOLVERS}
    betas, flow = {"linear", "scaled_linear"}, {"flow"}
    assert fits == {
        "ddim": betas,
        "ddpm": betas,
        "dpmpp-2m": betas | flow,
        "dpmpp-2m-karras": betas,
        "dpmpp-3m": betas | flow,
        "dpmpp-3m-karras": betas,
        "dpmpp-singlestep": betas,
        "euler": flow,
        "heun": flow,
        "rk4": flow,
        "dopri5": flow,
    }


@given(case=st.sampled_from(FITTING), steps=st.integers(1, 60), evaluations_more=st.integers(0, 5))
def test_n_is_the_number_of_evaluations(case, steps: int, evaluations_more: int):
    name, diffusion = case
    multiple = SOLVERS[name].multiple
    count = steps * multiple + evaluations_more // multiple * multiple
    table = make_table(f"{name}:{count}", diffusion)
    assert len(table.rows) == count
    assert table.init == 1


@pytest.mark.parametrize(("name", "diffusion"), FITTING)
def test_a_start_is_the_share_of_data_and_noise_at_its_t(name, diffusion):
    rows = make_table(f"{name}:{COUNT}", diffusion).rows
    assert rows[0].start is None
    starts = [row for row in rows if row.start is not None]
    assert starts or name == "dopri5"
    for row in starts:
        assert row.start == pytest.approx(level_at(diffusion.schedule, row.t), abs=START_TOLERANCE)


def test_starts_over_trained_indices_are_roots_of_the_cumulative_alphas():
    alphas = cumulative_alphas(DIT.schedule)
    for row in make_table("ddim:50", DIT).rows[1:]:
        alpha = alphas[int(row.t)]
        expected = (alpha**0.5, (1 - alpha) ** 0.5)
        assert row.start == pytest.approx(expected, rel=START_TOLERANCE)


@pytest.mark.parametrize(("name", "diffusion"), FITTING)
def test_every_step_is_a_start_but_the_first(name, diffusion):
    rows = make_table(f"{name}:{COUNT}", diffusion).rows
    begins_step = [False, *(row.base == "x" for row in rows[:-1])]
    assert [row.start is not None for row in rows] == begins_step


@pytest.mark.parametrize(("name", "diffusion"), FITTING)
def test_a_network_is_given_what_it_was_trained_on(name, diffusion):
    times = [row.t for row in make_table(f"{name}:{COUNT}", diffusion).rows]
    lowest, highest = {"linear": (0, 999), "scaled_linear": (1, 1000), "flow": (0, 1)}[
        diffusion.schedule.kind
    ]
    falls = diffusion.schedule.kind != "flow"
    ordered = times[::-1] if falls else times
    assert all(a <= b for a, b in itertools.pairwise(ordered))
    assert lowest <= min(times)
    assert max(times) <= highest
    assert times[0] == pytest.approx(highest if falls else lowest, abs=ONE_TRAINING_STEP)


@st.composite
def diffusions(draw) -> Diffusion:
    """Any diffusion whose schedule is accepted, out to the ends of what is."""
    kind = draw(st.sampled_from(["linear", "scaled_linear", "flow"]))
    train_steps = draw(st.sampled_from([2, 3, 10, 1000, MAX_TRAIN_STEPS]))
    if kind == "flow":
        shift = 10 ** draw(st.floats(-3, 3))
        schedule = {"beta_start": None, "beta_end": None, "shift": min(max(shift, 1e-3), 1e3)}
    else:
        first, last = sorted(10 ** draw(st.floats(-12.5, 0)) for _ in range(2))
        schedule = {"beta_start": first, "beta_end": last, "shift": 1.0}
    try:
        made = Schedule(kind=kind, train_steps=train_steps, **schedule)
    except ConfigError:
        reject()
    prediction = "velocity" if kind == "flow" else draw(st.sampled_from(["epsilon", "x0"]))
    learned = kind != "flow" and draw(st.booleans())
    return Diffusion(prediction=prediction, learned_variance=learned, schedule=made)


@settings(max_examples=100, deadline=None)
@given(diffusion=diffusions(), steps=st.sampled_from([1, 2, 3, 20, 166]))
def test_every_schedule_that_is_accepted_has_a_table_of_every_solver(diffusion, steps: int):
    for name, solver in SOLVERS.items():
        count = steps * solver.multiple
        if solver.fits(diffusion) and count <= diffusion.schedule.train_steps:
            table = SamplerTable.of(make_table(f"{name}:{count}", diffusion))
            first, last = diffusion.timesteps
            assert all(first <= row.t <= last for row in table.rows)


def test_only_tables_for_learned_variances_use_them():
    uses = {
        (n, d.learned_variance) for n, d in FITTING if make_table(f"{n}:12", d).learned_variance
    }
    assert uses == {("ddpm", True)}


def test_the_longest_tables_fit_in_a_manifest():
    for name, diffusion in dict(FITTING).items():
        most = MAX_EVALUATIONS - MAX_EVALUATIONS % SOLVERS[name].multiple
        table = make_table(f"{name}:{most}", diffusion)
        assert len(json.dumps(dataclasses.asdict(table))) < MANIFEST_BYTES / 4


@pytest.mark.parametrize("name", ["", "plms:20", "DDIM:20", "dpmpp:20", ":20"])
def test_an_unknown_solver_is_answered_with_the_known_ones(name: str):
    with pytest.raises(UsageError, match=r"unknown solver .*; there are ddim, ddpm, .*, dopri5$"):
        make_table(name, UVIT)


@pytest.mark.parametrize(
    "count", ["", "x", "-3", "+3", "3.0", " 3", "3 ", "03", "1e2", "٣", "3:4", "9" * 5000]
)
def test_a_malformed_number_of_evaluations_is_answered_with_the_form(count: str):
    with pytest.raises(UsageError, match=r"is no SOLVER:N .* as ddim:24 is"):
        make_table(f"ddim:{count}", UVIT)


def test_a_name_without_a_number_is_answered_with_the_form():
    with pytest.raises(UsageError, match="'ddim' is no SOLVER:N"):
        make_table("ddim", UVIT)


@pytest.mark.parametrize(
    ("name", "diffusion", "nearest"),
    [
        ("ddim:0", UVIT, "from 1 to 1000; nearest: 1"),
        ("ddim:1001", UVIT, "from 1 to 1000; nearest: 1000"),
        ("dpmpp-2m:999999999", SIT, "from 1 to 1000; nearest: 1000"),
        ("heun:25", SIT, "a multiple of 2 from 2 to 1000; nearest: 24 and 26"),
        ("rk4:1", SIT, "a multiple of 4 from 4 to 1000; nearest: 4"),
        ("dopri5:50", SIT, "a multiple of 6 from 6 to 996; nearest: 48 and 54"),
        ("dopri5:1000", SIT, "a multiple of 6 from 6 to 996; nearest: 996"),
    ],
)
def test_an_impossible_number_of_evaluations_is_answered_with_the_nearest(name, diffusion, nearest):
    with pytest.raises(UsageError, match=f"^{name}: the number of evaluations is {nearest}$"):
        make_table(name, diffusion)


def test_there_are_no_more_evaluations_than_trained_levels():
    short = dataclasses.replace(DIT, schedule=dataclasses.replace(DIT.schedule, train_steps=100))
    assert len(make_table("ddpm:100", short).rows) == 100
    with pytest.raises(UsageError, match="from 1 to 100; nearest: 100"):
        make_table("ddpm:250", short)


@pytest.mark.parametrize(
    ("name", "diffusion", "there_are"),
    [
        ("euler:20", UVIT, "euler does not go with a scaled_linear schedule; there are ddim, ddpm"),
        ("ddpm:250", SIT, "there are dpmpp-2m, dpmpp-3m, euler, heun, rk4, dopri5$"),
        ("dpmpp-2m-karras:20", SIT, "there are dpmpp-2m, dpmpp-3m, euler, heun, rk4, dopri5$"),
    ],
)
def test_a_solver_for_other_networks_is_answered_with_those_that_fit(name, diffusion, there_are):
    with pytest.raises(UsageError, match=there_are):
        make_table(name, diffusion)
