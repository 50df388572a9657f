"""The solvers by name: the one place where a name becomes a table."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dcae_export.errors import UsageError
from dcae_export.sampling.ddim import ddim
from dcae_export.sampling.ddpm import ddpm
from dcae_export.sampling.dpm_solver_multistep import multistep, multistep_karras
from dcae_export.sampling.dpm_solver_singlestep import singlestep
from dcae_export.sampling.runge_kutta import (
    DORMAND_PRINCE,
    EULER,
    HEUN,
    RK4,
    Tableau,
    runge_kutta,
)
from dcae_export.sampling.schedule import Diffusion
from dcae_export.sampling.table import Table

# A table is part of a manifest of at most 4 MiB, and no published sampler takes more.
MAX_EVALUATIONS = 1000

_COUNT = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Solver:
    """A solver: what a list of them says, how its table is made, and which networks and counts it takes.

    ``multiple`` is what the number of evaluations is a multiple of.
    """

    summary: str
    make: Callable[[int, Diffusion], Table]
    over_betas: bool = False
    over_flows: bool = False
    multiple: int = 1

    def fits(self, diffusion: Diffusion) -> bool:
        """Whether the solver goes with the network's schedule."""
        return self.over_flows if diffusion.schedule.kind == "flow" else self.over_betas


def _multistep(summary: str, order: int) -> Solver:
    make = partial(multistep, order=order)
    return Solver(summary=summary, make=make, over_betas=True, over_flows=True)


def _multistep_karras(summary: str, order: int) -> Solver:
    return Solver(summary=summary, make=partial(multistep_karras, order=order), over_betas=True)


def _runge_kutta(summary: str, tableau: Tableau) -> Solver:
    make = partial(runge_kutta, tableau=tableau)
    return Solver(summary=summary, make=make, over_flows=True, multiple=tableau.evaluations)


SOLVERS: dict[str, Solver] = {
    "ddim": Solver(summary="DDIM without noise, over betas", make=ddim, over_betas=True),
    "ddpm": Solver(
        summary="ancestral sampling with the learned variance, else the posterior's; over betas",
        make=ddpm,
        over_betas=True,
    ),
    "dpmpp-2m": _multistep("DPM-Solver++(2M), over betas and flows", 2),
    "dpmpp-2m-karras": _multistep_karras(
        "DPM-Solver++(2M) with the spacing of Karras, over betas", 2
    ),
    "dpmpp-3m": _multistep("DPM-Solver++(3M), over betas and flows", 3),
    "dpmpp-3m-karras": _multistep_karras(
        "DPM-Solver++(3M) with the spacing of Karras, over betas", 3
    ),
    "dpmpp-singlestep": Solver(
        summary="DPM-Solver++ singlestep of order 3, as U-ViT samples; over betas",
        make=singlestep,
        over_betas=True,
    ),
    "euler": _runge_kutta("Euler's method, over flows", EULER),
    "heun": _runge_kutta("Heun's method of order 2, over flows; two evaluations a step", HEUN),
    "rk4": _runge_kutta("the Runge-Kutta method of order 4, over flows; four a step", RK4),
    "dopri5": _runge_kutta(
        "Dormand and Prince's method of order 5, over flows; six a step", DORMAND_PRINCE
    ),
}


def make_table(name: str, diffusion: Diffusion) -> Table:
    """The table of a solver for a network.

    Args:
        name: "SOLVER:N", where N is the number of network evaluations, as in "dpmpp-2m:20".
        diffusion: What the network predicts.

    Raises:
        UsageError: There is no such solver, it does not go with the network, or it cannot take N evaluations;
            the message names those that there are, or the nearest N.
    """
    solver_name, _, count = name.partition(":")
    fitting = [known for known, solver in SOLVERS.items() if solver.fits(diffusion)]
    if solver_name not in SOLVERS:
        raise UsageError(f"unknown solver {solver_name!r}; there are {', '.join(SOLVERS)}")
    if not _COUNT.fullmatch(count):
        raise UsageError(
            f"{name!r} is no SOLVER:N with a number of evaluations, as {solver_name}:24 is"
        )
    if solver_name not in fitting:
        raise UsageError(
            f"{solver_name} does not go with a {diffusion.schedule.kind} schedule; "
            f"there are {', '.join(fitting)}"
        )
    solver = SOLVERS[solver_name]
    _check_count(name, int(count), solver.multiple, _most(diffusion))
    return solver.make(int(count), diffusion)


def _most(diffusion: Diffusion) -> int:
    schedule = diffusion.schedule
    trained = MAX_EVALUATIONS if schedule.kind == "flow" else schedule.train_steps
    return min(MAX_EVALUATIONS, trained)


def _check_count(name: str, count: int, multiple: int, most: int) -> None:
    most -= most % multiple
    below = min(max(count - count % multiple, multiple), most)
    above = min(max(count + -count % multiple, multiple), most)
    if below == above == count:
        return
    nearest = f"{below}" if below == above else f"{below} and {above}"
    rule = f"a multiple of {multiple} " if multiple > 1 else ""
    raise UsageError(
        f"{name}: the number of evaluations is {rule}from {multiple} to {most}; nearest: {nearest}"
    )
