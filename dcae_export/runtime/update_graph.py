"""What a row of a sampler's table does to the state, with guidance before it, as a graph of a few nodes.

Each operation is a node of its own, in the order of ``dcae_export.sampling.table``: the results have its bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcae_export.runtime.small_graph import Element, Node, Value, write_graph
from dcae_export.sampling.table import Row

_RANK = 4
_DOUBLE = (("to", Element.DOUBLE.value),)
_FLOAT = (("to", Element.FLOAT.value),)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdateForm:
    """What rows have in common that are taken by one graph.

    Attributes:
        reads: The entries of the history that the row uses, by how far back they lie: 0 is the row's own converted
            output, i the i-th newest of those before it.
        x_terms: How many of them the next state is made of.
        base_terms: How many of them the next base is made of; None where it is not combined.
        noise: Which of the row's coefficients noise is added by.
        guided: Whether the output's rows are the labels' and then those of the null label.
        halves: Whether the output has twice the state's channels, of which the second half is a variance.
    """

    reads: tuple[int, ...]
    x_terms: int
    base_terms: int | None
    noise: Literal["s", "v"] | None
    guided: bool
    halves: bool

    @classmethod
    def of(cls, row: Row, *, past: int, guided: bool, halves: bool) -> "UpdateForm":
        """The form of a row before which the history has ``past`` entries."""
        return cls(
            reads=tuple(min(back, past) for back in range(row.reach)),
            x_terms=len(row.x) - 1,
            base_terms=len(row.base) - 1 if isinstance(row.base, tuple) else None,
            noise="s" if row.s is not None else "v" if row.v is not None else None,
            guided=guided,
            halves=halves,
        )

    @property
    def num_past(self) -> int:
        """How many entries of the history before the row the graph takes: ``past1`` is the newest."""
        return max(self.reads, default=0)


def coefficients(row: Row, *, guidance: float) -> NDArray[np.float32]:
    """The numbers of a row in the order in which its graph takes them."""
    numbers = [guidance, *row.m, *row.x]
    if row.s is not None:
        numbers.append(row.s)
    if row.v is not None:
        lo, hi = np.float32(row.v[0]), np.float32(row.v[1])
        numbers += [float(lo), float(hi - lo), 1.0, 0.5]
    if isinstance(row.base, tuple):
        numbers += row.base
    return np.array(numbers, np.float32)


def update_graph(form: UpdateForm) -> bytes:
    """The graph of a form.

    Inputs: ``coefficients``; the network's ``output``; the rows of it that are the labels' (``label_rows``) and, with
    guidance, those of the null label (``null_rows``); ``state``, ``base``, ``past1``, ...; the noise ``z``; and
    ``latent_rows``, which image each row of the network's next input is.

    Outputs: ``next_state``, ``converted``, the ``latent`` that the network is given next, ``check``, which is 0 or,
    where the state is not finite, NaN; and ``next_base`` where it is combined.
    """
    graph = _Builder()
    names = _coefficient_names(form)
    graph.node("Split", ["coefficients"], names, axis=0)
    out, variance = _guided(graph, form)
    graph.combine("converted", ["p", "q"], ["state", out])
    sources = ["converted" if back == 0 else f"past{back}" for back in form.reads]
    x = names[3 : 4 + form.x_terms]
    combined = "linear" if form.noise else "next_state"
    graph.combine(combined, x, ["base", *sources[: form.x_terms]])
    if form.noise is not None:
        deviation = "s" if form.noise == "s" else _deviation(graph, variance)
        graph.node("Mul", [deviation, "z"], ["noise"])
        graph.node("Add", ["linear", "noise"], ["next_state"])
    outputs = ["next_state", "converted", "latent", "check"]
    if form.base_terms is not None:
        kept = names[-1 - form.base_terms :]
        graph.combine("next_base", kept, ["base", *sources[: form.base_terms]])
        outputs.append("next_base")
    graph.node("Gather", ["next_state", "latent_rows"], ["latent"])
    # Infinity less infinity is no number, nor is any sum that has none in it.
    graph.node("Sub", ["next_state", "next_state"], ["zeros"])
    graph.node("ReduceSum", ["zeros"], ["check"])
    return write_graph(
        graph.nodes,
        inputs=_inputs(form),
        outputs=[_latent(name) for name in outputs],
    )


class _Builder:
    """Nodes in their order, with names for what only they use."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def node(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int
    ) -> None:
        self.nodes.append(
            Node(
                operator=operator,
                inputs=inputs,
                outputs=outputs,
                attributes=tuple(attributes.items()),
            )
        )

    def combine(self, result: str, factors: Sequence[str], values: Sequence[str]) -> None:
        """factors[0] * values[0] + factors[1] * values[1] + ..., left to right."""
        total = ""
        last = len(values) - 1
        for place, (factor, value) in enumerate(zip(factors, values, strict=True)):
            product = f"{result}_product{place}" if last else result
            self.node("Mul", [factor, value], [product])
            if place:
                added = result if place == last else f"{result}_sum{place}"
                self.node("Add", [total, product], [added])
                product = added
            total = product


def _coefficient_names(form: UpdateForm) -> list[str]:
    names = ["guidance", "p", "q", *(f"x{term}" for term in range(form.x_terms + 1))]
    names += {None: [], "s": ["s"], "v": ["lo", "span", "one", "half"]}[form.noise]
    if form.base_terms is not None:
        names += (f"base{term}" for term in range(form.base_terms + 1))
    return names


def _guided(graph: _Builder, form: UpdateForm) -> tuple[str, str]:
    """The guided output and the variance of the labels' rows, by name."""
    label = _rows(graph, form, "label")
    if not form.guided:
        return label, "label_variance"
    null = _rows(graph, form, "null")
    graph.node("Sub", [label, null], ["apart"])
    graph.node("Mul", ["guidance", "apart"], ["weighted"])
    graph.node("Add", [null, "weighted"], ["out"])
    return "out", "label_variance"


def _rows(graph: _Builder, form: UpdateForm, which: str) -> str:
    graph.node("Gather", ["output", f"{which}_rows"], [f"{which}_output"])
    if not form.halves:
        return f"{which}_output"
    graph.node("Split", [f"{which}_output"], [f"{which}_mean", f"{which}_variance"], axis=1)
    return f"{which}_mean"


def _deviation(graph: _Builder, variance: str) -> str:
    graph.node("Add", [variance, "one"], ["raised"])
    graph.node("Mul", ["raised", "half"], ["fraction"])
    graph.node("Mul", ["fraction", "span"], ["above"])
    graph.node("Add", ["lo", "above"], ["log"])
    graph.node("Mul", ["half", "log"], ["half_log"])
    graph.nodes += [
        Node(operator="Cast", inputs=["half_log"], outputs=["exact"], attributes=_DOUBLE),
        Node(operator="Exp", inputs=["exact"], outputs=["exact_deviation"]),
        Node(operator="Cast", inputs=["exact_deviation"], outputs=["deviation"], attributes=_FLOAT),
    ]
    return "deviation"


def _inputs(form: UpdateForm) -> list[Value]:
    indices = ["label_rows", "latent_rows", *(["null_rows"] if form.guided else [])]
    arrays = ["output", "state", "base", *(f"past{i + 1}" for i in range(form.num_past))]
    if form.noise is not None:
        arrays.append("z")
    return [
        Value(name="coefficients", shape=("coefficients",)),
        *(Value(name=name, shape=(name,), element=Element.INT64) for name in indices),
        *(_latent(name) for name in arrays),
    ]


def _latent(name: str) -> Value:
    return Value(name=name, shape=tuple(f"{name}_{axis}" for axis in range(_RANK)))
