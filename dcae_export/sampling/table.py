"""Sampler tables: a fixed-step solver as one row of coefficients for each network evaluation, and the loop over them.

docs/bundle-format.md defines the format. The loop knows no solver: all of a solver is in its coefficients.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dcae_export.errors import CancelledError, ConfigError, ParityError, UsageError

Array = NDArray[np.float32]
OnStep = Callable[[int, int], bool | None]
State = TypeVar("State")
_CHANNELS = -3


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What one network evaluation does to the state; every number is rounded to float32.

    Attributes:
        t: What the network is given beside the state.
        m: (p, q): p * state + q * output is pushed to the front of the history.
        x: (a, c0, c1, ...): the next state is a * base + c0 * history[0] + c1 * history[1] + ...
        base: What becomes of the base: None leaves it, "x" makes it the next state, numbers combine it as x does.
        s: The next state gets s * z, z being noise stream (index of the row) + 1.
        v: (lo, hi), logarithms of variances: the next state gets exp(0.5 * (lo + f * (hi - lo))) * z, where
            f = (r + 1) / 2 and r is the second half of the output's channels.
        start: (signal, noise): a run may begin here with state and base signal * data + noise * z0.

    Raises:
        ConfigError: A coefficient is no finite float32, x or base has none, or both s and v are there.
    """

    t: float
    m: tuple[float, float]
    x: tuple[float, ...]
    base: Literal["x"] | tuple[float, ...] | None = None
    s: float | None = None
    v: tuple[float, float] | None = None
    start: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("t", "s"):
            number: float | None = getattr(self, name)
            if number is not None:
                object.__setattr__(self, name, _float32(number))
        for name in ("m", "x", "base", "v", "start"):
            numbers: Sequence[float] | Literal["x"] | None = getattr(self, name)
            if numbers is not None and not isinstance(numbers, str):
                object.__setattr__(self, name, tuple(_float32(number) for number in numbers))
        if not self.x or self.base == ():
            raise ConfigError("a row of a sampler's table has at least the base's coefficient")
        if self.s is not None and self.v is not None:
            raise ConfigError("a row of a sampler's table adds noise by s or by v, not by both")

    @property
    def reach(self) -> int:
        """How many entries of the history the row uses."""
        combined = self.base if isinstance(self.base, tuple) else ()
        return max(len(self.x), len(combined)) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A sampler: a run starts from ``init`` times noise and takes one row for each evaluation.

    Raises:
        ConfigError: There is no row; a row reaches back further than there are rows up to it; or a row has a
            start though the base is not the state there, or it is the first, where a run starts from noise.
    """

    init: float
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", _float32(self.init))
        object.__setattr__(self, "rows", tuple(self.rows))
        if not self.rows:
            raise ConfigError("a sampler's table has at least one row")
        for index, row in enumerate(self.rows):
            if row.reach > index + 1:
                raise ConfigError(
                    f"row {index} of a sampler's table uses the last {row.reach} evaluations; "
                    f"there are {index + 1}"
                )
            if row.start is not None and (index == 0 or self.rows[index - 1].base != "x"):
                raise ConfigError(
                    f"no step begins at row {index} of a sampler's table, which has a start"
                )

    @property
    def learned_variance(self) -> bool:
        """Whether the rows use the variance that a network has learned."""
        return any(row.v is not None for row in self.rows)

    def start_row(self, strength: float) -> int:
        """The row at which image to image begins.

        Of the rows at which a run may begin, the one that leaves most nearly the share ``strength`` of all
        evaluations to be run; of two equally near ones the earlier.

        Args:
            strength: In (0, 1]; 1 is the whole run, from pure noise.

        Returns:
            The index of the row; 0 uses nothing of the image.

        Raises:
            UsageError: ``strength`` is out of range.
        """
        if not 0 < strength <= 1:
            raise UsageError(f"strength is above 0 and at most 1, got {strength}")
        count = len(self.rows)
        starts = [i for i, row in enumerate(self.rows) if i == 0 or row.start is not None]
        return min(starts, key=lambda index: abs(count - index - strength * count))


@dataclass(frozen=True, kw_only=True, slots=True)
class Advanced(Generic[State]):
    """What a row leaves: the next state and base, and the converted output that joins the history."""

    state: State
    base: State
    converted: State
    is_finite: bool


class Arithmetic(Protocol[State]):
    """How a walk computes, and where its state lies."""

    def place(self, array: Array) -> State:
        """The state of a float32 array."""
        ...

    def advance(
        self,
        row: Row,
        *,
        state: State,
        base: State,
        history: tuple[State, ...],
        output: State,
        z: Array | None,
    ) -> Advanced[State]:
        """Take one row, all in float32, in the order in which the format writes it, each operation rounded.

        Args:
            row: The coefficients.
            state: What the network was given.
            base: As the row before left it.
            history: Converted outputs, the newest first, without this row's.
            output: The network's.
            z: The row's noise; None where it adds none.
        """
        ...

    def fetch(self, state: State) -> Array:
        """A state as an array of its own."""
        ...


def sample(
    table: Table,
    *,
    network: Callable[[Array, float], Array],
    noise: Callable[[int], Array],
    on_step: OnStep | None = None,
    init_latent: Array | None = None,
    first_row: int = 0,
) -> Array:
    """Walk a table with NumPy. All arithmetic is float32, in the order written, each operation rounded.

    Args:
        table: The sampler.
        network: Called with the state, which it leaves as it is, and the row's t; guidance is its business.
            Its output has the state's shape. If the table has ``learned_variance`` it has twice the channels
            (third axis from the end), in every row; over other tables, a network that has learned variances
            leaves them out.
        noise: Called with a stream's number, gives standard normals of the state's shape: 0 is what the run
            starts from, i + 1 what row i adds.
        on_step: Called after each evaluation with how many are done and how many there are; False ends the run.
        init_latent: The data that a run from a row after the first starts with, as the diffusion sees it
            (scaled), of the state's shape. A run from row 0 starts from noise alone.
        first_row: Where to begin, from ``Table.start_row``. The history is empty there; while it is shorter
            than a row's reach, its oldest entry stands for what is missing.

    Returns:
        The latent, as the diffusion sees it, of the state's shape.

    Raises:
        CancelledError: ``on_step`` returned False.
        ParityError: The state is not finite after a row.
        ValueError: No run may begin at ``first_row``, its latent is missing, or an array has another shape or
            dtype than it should.
    """
    return walk(
        table,
        arithmetic=_NumPy(learned_variance=table.learned_variance),
        network=network,
        noise=noise,
        on_step=on_step,
        init_latent=init_latent,
        first_row=first_row,
    )


def walk(  # noqa: PLR0913 - one argument for each part
    table: Table,
    *,
    arithmetic: Arithmetic[State],
    network: Callable[[State, float], State],
    noise: Callable[[int], Array],
    on_step: OnStep | None = None,
    init_latent: Array | None = None,
    first_row: int = 0,
) -> Array:
    """``sample`` with the state wherever ``arithmetic`` has it; arguments, result and errors are the same."""
    # What overflows is found in the state.
    with np.errstate(over="ignore", invalid="ignore"):
        first = _first_state(table, first_row, noise(0), init_latent)
        state = base = arithmetic.place(first)
        history: tuple[State, ...] = ()
        longest = max(row.reach for row in table.rows)
        count = len(table.rows) - first_row
        for index in range(first_row, len(table.rows)):
            row = table.rows[index]
            advanced = arithmetic.advance(
                row,
                state=state,
                base=base,
                history=history,
                output=network(state, row.t),
                z=None if row.s is None and row.v is None else noise(index + 1),
            )
            state, base = advanced.state, advanced.base
            history = (advanced.converted, *history)[:longest]
            if not advanced.is_finite:
                raise ParityError(
                    f"row {index} of the sampler gives no finite latent; nothing was written"
                )
            done = index - first_row + 1
            if on_step is not None and on_step(done, count) is False:
                raise CancelledError(f"stopped after {done} of {count} evaluations")
        return arithmetic.fetch(state)


def remembered(history: tuple[State, ...], back: int) -> State:
    """An entry of a history, the newest being 0; the oldest one stands for those that it does not have."""
    return history[min(back, len(history) - 1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _NumPy:
    """Arrays in memory."""

    learned_variance: bool

    def place(self, array: Array) -> Array:
        return array

    def advance(
        self,
        row: Row,
        *,
        state: Array,
        base: Array,
        history: tuple[Array, ...],
        output: Array,
        z: Array | None,
    ) -> Advanced[Array]:
        out, variance = _split(output, state, learned_variance=self.learned_variance)
        converted = _scaled(row.m[0], state) + _scaled(row.m[1], out)
        history = (converted, *history)
        following = _combine(row.x, base, history)
        if row.s is not None and z is not None:
            following += _scaled(row.s, z)
        elif row.v is not None and z is not None:
            following += _deviation(row.v, variance) * z
        if row.base is not None:
            base = following if row.base == "x" else _combine(row.base, base, history)
        return Advanced(
            state=following,
            base=base,
            converted=converted,
            is_finite=bool(np.isfinite(following).all()),
        )

    def fetch(self, state: Array) -> Array:
        return state


def _first_state(table: Table, first_row: int, z: Array, init_latent: Array | None) -> Array:
    if first_row == 0:
        return _scaled(table.init, z)
    start = table.rows[first_row].start if 0 < first_row < len(table.rows) else None
    if start is None:
        raise ValueError(f"no run may begin at row {first_row} of {len(table.rows)}")
    if init_latent is None or (init_latent.shape, init_latent.dtype) != (z.shape, z.dtype):
        raise ValueError(f"a run from row {first_row} starts with a float32 latent {list(z.shape)}")
    return _scaled(start[0], init_latent) + _scaled(start[1], z)


def _split(output: Array, state: Array, *, learned_variance: bool) -> tuple[Array, Array]:
    """The output's prediction and its variance channels (none in a table that does not use them)."""
    expected = list(state.shape)
    if learned_variance:
        expected[_CHANNELS] *= 2
    if list(output.shape) != expected or output.dtype != np.float32:
        raise ValueError(
            f"the network's output is float32 {expected}, got {output.dtype} {list(output.shape)}"
        )
    if not learned_variance:
        return output, output[:0]
    out, variance = np.split(output, 2, axis=_CHANNELS)
    return out, variance


def _combine(coefficients: tuple[float, ...], base: Array, history: tuple[Array, ...]) -> Array:
    total = _scaled(coefficients[0], base)
    for back, coefficient in enumerate(coefficients[1:]):
        total += _scaled(coefficient, remembered(history, back))
    return total


def _scaled(coefficient: float, array: Array) -> Array:
    # The coefficient holds a float32 already; a float32 scalar keeps the product one whatever NumPy promotes to.
    return np.float32(coefficient) * array


def _deviation(bounds: tuple[float, float], variance: Array) -> Array:
    lo, hi = np.float32(bounds[0]), np.float32(bounds[1])
    fraction = (variance + np.float32(1)) / np.float32(2)
    half_log = np.float32(0.5) * (lo + fraction * (hi - lo))
    # float64, rounded once: libraries differ in float32.
    return np.exp(half_log.astype(np.float64)).astype(np.float32)


def _float32(number: float) -> float:
    with np.errstate(over="ignore"):
        rounded = float(np.float32(number))
    if not math.isfinite(rounded):
        raise ConfigError(f"a number of a sampler's table is a finite float32, got {number}")
    return rounded
