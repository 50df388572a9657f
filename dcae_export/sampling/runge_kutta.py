"""Explicit Runge-Kutta methods with a fixed step for the equation of a flow: d state / d t = velocity.

Each stage is one evaluation. Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I", chapter
II; the method of order 5 is that of Dormand and Prince (1980), whose seventh stage serves the choice of a step
size and is left out here.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from dcae_export.sampling.schedule import Diffusion, Level
from dcae_export.sampling.spacing import flow
from dcae_export.sampling.table import Row, Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Tableau:
    """A Butcher tableau: the weights of all earlier slopes for each further stage, and those for the step.

    A stage's time is the sum of its weights, in steps.
    """

    stages: tuple[tuple[float, ...], ...]
    step: tuple[float, ...]

    @property
    def evaluations(self) -> int:
        """How many evaluations a step takes."""
        return len(self.step)


EULER = Tableau(stages=(), step=(1.0,))

HEUN = Tableau(stages=((1.0,),), step=(1 / 2, 1 / 2))

RK4 = Tableau(
    stages=((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
    step=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
)

DORMAND_PRINCE = Tableau(
    stages=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    ),
    step=(35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)


def runge_kutta(evaluations: int, diffusion: Diffusion, *, tableau: Tableau) -> Table:
    """Steps from noise to data over evenly spaced, then shifted shares of noise; for flows.

    Args:
        evaluations: A multiple of the tableau's evaluations.
        diffusion: A flow.
        tableau: The method.
    """
    levels = flow(diffusion.schedule, evaluations // tableau.evaluations)
    rows = [row for here, there in pairwise(levels) for row in _step(tableau, here, there)]
    return Table(init=1.0, rows=tuple(rows))


def _step(tableau: Tableau, here: Level, there: Level) -> list[Row]:
    length = there.t - here.t
    times = [0.0, *(math.fsum(weights) for weights in tableau.stages)]
    following = (*tableau.stages, tableau.step)
    return [
        Row(
            t=here.t + time * length,
            m=(0.0, 1.0),
            # The history has the most recent slope first.
            x=(1.0, *(length * weight for weight in reversed(weights))),
            base="x" if stage == tableau.evaluations - 1 else None,
            start=(here.signal, here.noise) if stage == 0 and here.signal > 0 else None,
        )
        for stage, (time, weights) in enumerate(zip(times, following, strict=True))
    ]
