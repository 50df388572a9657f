import dataclasses
import json
import math

import numpy as np
import pytest
from gaussian_data import DIT, PLAIN_DIT, SHIFTED_SIT, SIT, UVIT
from hypothesis import given, settings
from hypothesis import strategies as st

from dcae_export.errors import CancelledError, ConfigError, ParityError, UsageError
from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import Row, Table, sample

SHAPE = (2, 3, 3)

# exp of float64 in two libraries, rounded to float32: at most the last bit.
EXP_TOLERANCE = 2**-23

numbers = st.floats(-2, 2, width=32)


@st.composite
def tables(draw, *, learned_variance: bool = False) -> Table:
    """Tables of any coefficients, bases and noise."""
    rows: list[Row] = []
    for index in range(draw(st.integers(1, 5))):
        lists = st.lists(numbers, min_size=1, max_size=index + 2)
        rows.append(
            Row(
                t=draw(numbers),
                m=(draw(numbers), draw(numbers)),
                x=tuple(draw(lists)),
                base=draw(st.none() | st.just("x") | lists.map(tuple)),
                s=None if learned_variance else draw(st.none() | numbers),
                v=(draw(numbers), draw(numbers)) if learned_variance else None,
            )
        )
    return Table(init=draw(numbers), rows=tuple(rows))


def arrays(stream: int, channels: int = SHAPE[0]) -> np.ndarray:
    """An array that tells streams, and outputs, from each other."""
    generator = np.random.default_rng(stream)
    return generator.standard_normal((channels, *SHAPE[1:])).astype(np.float32)


def network(state: np.ndarray, t: float) -> np.ndarray:
    return np.tanh(state + np.float32(t))


def walk_by_the_letter(table: Table, network, noise) -> np.ndarray:
    """The format's definition on single float32 numbers, without the package's loop."""
    u = [np.float32(table.init) * z for z in noise(0).ravel()]
    base, history = list(u), []
    for index, row in enumerate(table.rows):
        output = network(np.array(u, np.float32).reshape(SHAPE), row.t).ravel()
        out, r = output[: len(u)], output[len(u) :]
        p, q = (np.float32(c) for c in row.m)
        history.insert(0, [p * a + q * b for a, b in zip(u, out, strict=True)])

        def combination(coefficients, base=base, history=history):
            total = [np.float32(coefficients[0]) * b for b in base]
            for c, m in zip(coefficients[1:], history, strict=False):
                total = [t + np.float32(c) * h for t, h in zip(total, m, strict=True)]
            return total

        u = combination(row.x)
        z = noise(index + 1).ravel()
        if row.s is not None:
            u = [a + np.float32(row.s) * b for a, b in zip(u, z, strict=True)]
        if row.v is not None:
            lo, hi = (np.float32(bound) for bound in row.v)
            f = [(one + np.float32(1)) / np.float32(2) for one in r]
            logs = [np.float32(0.5) * (lo + one * (hi - lo)) for one in f]
            scale = [np.float32(math.exp(float(log))) for log in logs]
            u = [a + b * c for a, b, c in zip(u, scale, z, strict=True)]
        if row.base == "x":
            base = u
        elif row.base is not None:
            base = combination(row.base)
    return np.array(u, np.float32).reshape(SHAPE)


@settings(max_examples=50)
@given(table=tables())
def test_a_walk_is_that_of_the_format_bit_for_bit(table: Table):
    result = sample(table, network=network, noise=arrays)
    assert result.dtype == np.float32
    assert result.tobytes() == walk_by_the_letter(table, network, arrays).tobytes()


@settings(max_examples=50)
@given(table=tables(learned_variance=True))
def test_a_walk_with_learned_variances_is_that_of_the_format(table: Table):
    def both(state: np.ndarray, t: float) -> np.ndarray:
        return np.concatenate([network(state, t), network(-2 * state, t)])

    result = sample(table, network=both, noise=arrays)
    expected = walk_by_the_letter(table, both, arrays)
    assert np.allclose(result, expected, rtol=EXP_TOLERANCE, atol=64 * EXP_TOLERANCE)


@settings(max_examples=50)
@given(table=tables())
def test_a_batch_is_its_images_one_by_one(table: Table):
    def noise(stream: int) -> np.ndarray:
        return np.stack([arrays(stream), arrays(stream + 100)])

    both = sample(table, network=network, noise=noise)
    second = sample(table, network=network, noise=lambda stream: arrays(stream + 100))
    assert np.array_equal(both[0], sample(table, network=network, noise=arrays))
    assert np.array_equal(both[1], second)


@given(numbers=st.lists(st.floats(-1e30, 1e30), min_size=4, max_size=4))
def test_coefficients_are_held_as_float32(numbers: list[float]):
    a, b, c, d = numbers
    row = Row(t=a, m=(b, c), x=(d, a), base=(b, c), s=d, start=(a, b))
    rounded = [float(np.float32(number)) for number in numbers]
    assert (row.t, *row.m, row.s) == (rounded[0], rounded[1], rounded[2], rounded[3])
    assert (row.x, row.base, row.start) == (
        (rounded[3], rounded[0]),
        (rounded[1], rounded[2]),
        (rounded[0], rounded[1]),
    )
    assert Table(init=a, rows=(Row(t=0, m=(0, 1), x=(1,)),)).init == rounded[0]


@pytest.mark.parametrize(
    ("name", "diffusion"),
    [
        ("ddpm:250", DIT),
        ("ddpm:20", PLAIN_DIT),
        ("dpmpp-3m-karras:30", DIT),
        ("dpmpp-singlestep:30", UVIT),
        ("dpmpp-2m:20", SHIFTED_SIT),
        ("dopri5:60", SIT),
    ],
)
def test_a_table_survives_json_exactly(name, diffusion):
    table = make_table(name, diffusion)
    stored = json.loads(json.dumps(dataclasses.asdict(table)))
    rows = tuple(Row(**row) for row in stored["rows"])
    assert Table(init=stored["init"], rows=rows) == table
    coefficients = [number for row in table.rows for number in (row.t, *row.m, *row.x)]
    assert coefficients == [float(np.float32(number)) for number in coefficients]


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"x": (1.0, math.nan)}, "finite float32, got nan"),
        ({"t": 1e39}, r"finite float32, got 1e\+39"),
        ({"x": ()}, "at least the base's coefficient"),
        ({"base": ()}, "at least the base's coefficient"),
        ({"s": 1.0, "v": (0.0, 1.0)}, "by s or by v"),
    ],
)
def test_a_row_that_no_runtime_could_follow_is_refused(row, match):
    with pytest.raises(ConfigError, match=match):
        Row(**({"t": 0.0, "m": (0.0, 1.0), "x": (1.0, 1.0)} | row))


def test_a_row_reaches_no_further_back_than_there_are_rows():
    one = Row(t=0, m=(0, 1), x=(1, 1))
    with pytest.raises(ConfigError, match="uses the last 3 evaluations; there are 2"):
        Table(init=1, rows=(one, Row(t=0, m=(0, 1), x=(1,), base=(1, 0, 0, 1))))


def test_a_run_begins_only_where_the_base_is_the_state():
    plain = Row(t=0, m=(0, 1), x=(1, 1))
    start = dataclasses.replace(plain, start=(0.5, 0.5))
    with pytest.raises(ConfigError, match="no step begins at row 0"):
        Table(init=1, rows=(start,))
    with pytest.raises(ConfigError, match="no step begins at row 1"):
        Table(init=1, rows=(plain, start))
    Table(init=1, rows=(dataclasses.replace(plain, base="x"), start))


@pytest.mark.parametrize("change", [{"m": (3e38, 3e38)}, {"x": (3e38, 3e38)}, {"s": 3e38}])
def test_a_state_that_is_not_finite_ends_the_run_in_its_row(change):
    rows = (Row(t=0, m=(0, 1), x=(1, 1)), Row(**({"t": 0, "m": (0, 1), "x": (1, 1)} | change)))
    with pytest.raises(ParityError, match="row 1 of the sampler gives no finite latent"):
        sample(
            Table(init=1, rows=rows), network=lambda state, t: state + np.float32(t), noise=arrays
        )


def test_a_table_without_rows_is_refused():
    with pytest.raises(ConfigError, match="at least one row"):
        Table(init=1, rows=())


def test_the_noise_of_a_row_is_its_stream_wherever_the_run_begins():
    table = make_table("ddpm:6", DIT)
    asked: list[int] = []

    def noise(stream: int) -> np.ndarray:
        asked.append(stream)
        return arrays(stream)

    def both(state: np.ndarray, t: float) -> np.ndarray:
        return np.concatenate([network(state, t), state])

    sample(table, network=both, noise=noise)
    assert asked == [0, 1, 2, 3, 4, 5]
    asked.clear()
    sample(table, network=both, noise=noise, init_latent=arrays(9), first_row=3)
    assert asked == [0, 4, 5]


def test_the_oldest_entry_stands_for_what_a_later_start_lacks():
    # The history is the network's t: row i pushes i + 1.
    rows = tuple(
        Row(t=i + 1, m=(0, 1), x=(0, 1, 10, 100), base="x", start=(1, 0) if i else None)
        for i in range(2, 6)
    )
    early = tuple(Row(t=i + 1, m=(0, 1), x=(0, 1), base="x") for i in range(2))
    table = Table(init=1, rows=(*early, *rows))

    def result_of(first_row: int, count: int) -> float:
        shortened = dataclasses.replace(table, rows=table.rows[: first_row + count])
        result = sample(
            shortened,
            network=np.full_like,
            noise=arrays,
            init_latent=arrays(1),
            first_row=first_row,
        )
        return float(result.ravel()[0])

    assert result_of(0, 3) == 3 + 10 * 2 + 100 * 1
    assert [result_of(2, count) for count in (1, 2, 3)] == [
        3 + 10 * 3 + 100 * 3,
        4 + 10 * 3 + 100 * 3,
        5 + 10 * 4 + 100 * 3,
    ]


def test_tables_without_noise_ask_for_none():
    asked: list[int] = []
    sample(
        make_table("heun:6", SIT),
        network=network,
        noise=lambda stream: (asked.append(stream), arrays(stream))[1],
    )
    assert asked == [0]


def test_a_callback_counts_the_evaluations():
    seen: list[tuple[int, int]] = []
    sample(
        make_table("euler:3", SIT),
        network=network,
        noise=arrays,
        on_step=lambda step, count: seen.append((step, count)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    seen.clear()
    sample(
        make_table("euler:3", SIT),
        network=network,
        noise=arrays,
        on_step=lambda step, count: seen.append((step, count)),
        init_latent=arrays(9),
        first_row=1,
    )
    assert seen == [(1, 2), (2, 2)]


def test_a_callback_that_says_false_ends_the_run():
    evaluations: list[float] = []

    def counting(state: np.ndarray, t: float) -> np.ndarray:
        evaluations.append(t)
        return network(state, t)

    with pytest.raises(CancelledError, match="stopped after 2 of 5 evaluations"):
        sample(
            make_table("euler:5", SIT),
            network=counting,
            noise=arrays,
            on_step=lambda step, count: step < 2,
        )
    assert len(evaluations) == 2


def test_a_step_is_as_near_the_strength_as_the_steps_allow():
    each = make_table("euler:10", SIT)
    assert [each.start_row(strength) for strength in (1, 0.5, 0.52, 0.01)] == [0, 5, 5, 9]
    # Half-way between two rows, the earlier.
    assert each.start_row(0.75) == 2
    # Steps of three evaluations begin at rows 3, 6, ...
    third = make_table("dpmpp-singlestep:10", UVIT)
    assert [third.start_row(strength) for strength in (0.8, 0.5, 0.1)] == [3, 6, 9]
    assert make_table("dopri5:6", SIT).start_row(0.3) == 0


@pytest.mark.parametrize("strength", [0, -0.5, 1.001, math.nan])
def test_a_strength_out_of_range_is_refused(strength: float):
    with pytest.raises(UsageError, match="strength is above 0 and at most 1"):
        make_table("euler:10", SIT).start_row(strength)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"first_row": 2, "init_latent": arrays(1)}, "no run may begin at row 2"),
        ({"first_row": 8, "init_latent": arrays(1)}, "no run may begin at row 8 of 8"),
        ({"first_row": -4, "init_latent": arrays(1)}, "no run may begin at row -4"),
        ({"first_row": 4}, r"starts with a float32 latent \[2, 3, 3\]"),
        ({"first_row": 4, "init_latent": arrays(1)[:1]}, "starts with a float32 latent"),
        (
            {"first_row": 4, "init_latent": arrays(1).astype(np.float64)},
            "starts with a float32 latent",
        ),
    ],
)
def test_a_run_that_cannot_begin_there_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        sample(make_table("rk4:8", SIT), network=network, noise=arrays, **options)


@pytest.mark.parametrize(
    ("name", "diffusion", "output"),
    [
        ("euler:3", SIT, arrays(0, 4)),
        ("euler:3", SIT, arrays(0)[:1]),
        ("euler:3", SIT, arrays(0).astype(np.float64)),
        ("ddpm:3", DIT, arrays(0)),
    ],
)
def test_an_output_of_another_shape_or_precision_is_refused(name, diffusion, output):
    with pytest.raises(ValueError, match="the network's output is float32"):
        sample(make_table(name, diffusion), network=lambda state, t: output, noise=arrays)
