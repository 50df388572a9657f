"""Whether a small transformer of each family reaches a known distribution, through its bundle and through PyTorch.

The training is that of ``dcae train diffusion``: a folder of latents, a recipe, a run that is resumed. It stops a few
times to be exported and sampled. What each figure means is said in ``benchmarks.tasks.distribution``.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.process import WorkerProcess
from benchmarks.results import Results

# Each family's own, DDPM with fewer of its steps.
SAMPLERS = {"uvit": "dpmpp-singlestep:30", "usit": "dopri5:48", "dit": "ddpm:100"}
LATENTS, NOISE = "latents of the distribution", "noise"

# Small networks on small latents: a second thread would wait more than it computes.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyTraining:
    """How large everything is.

    A network is looked at after each of ``steps`` steps of ``batch_size``, on ``latents`` latents. Then ``samples``
    of each class are drawn and compared with ``fresh`` latents of it; latents take the samples' place ``repeats``
    times.
    """

    steps: tuple[int, ...] = (500, 2000, 8000)
    depth: int = 2
    width: int = 64
    heads: int = 4
    batch_size: int = 64
    learning_rate: float = 1e-3
    ema: float = 0.9995
    latents: int = 30_000
    samples: int = 512
    fresh: int = 2048
    repeats: int = 16


def measure_distribution(training: ToyTraining, families: Sequence[str], results: Results) -> None:
    """Measure every family after every number of steps that the results do not hold.

    Raises:
        UsageError: The results are of a training of other sizes.
        WorkerError: A training, an export or a sampling failed.
    """
    results.rest_on(
        "sizes", "training", asdict(training), named="a training of other sizes or steps"
    )
    compared = {"samples": training.samples, "fresh": training.fresh}
    wants_latents, wants_noise = (results.wants("references", key) for key in (LATENTS, NOISE))
    best = [family for family in families if results.wants("best", family)]
    wanted = [
        (family, steps)
        for family in families
        for steps in training.steps
        if results.wants("families", key(family, steps))
    ]
    if not (wants_latents or wants_noise or best or wanted):
        return
    with tempfile.TemporaryDirectory() as name, WorkerProcess(environment=_ENVIRONMENT) as worker:
        if wants_latents:
            cell = worker.call("measure toy latents", repeats=training.repeats, **compared)
            results.put("references", LATENTS, cell)
        if wants_noise:
            results.put("references", NOISE, worker.call("measure noise", **compared))
        for family in best:
            sampled = {"family": family, "sampler": SAMPLERS[family]}
            results.put("best", family, worker.call("measure best network", **sampled, **compared))
        latents = Path(name) / "latents"
        worker.call("draw toy latents", folder=str(latents), count=training.latents)
        for family, steps in wanted:
            cell = worker.call(
                "train on toy latents",
                recipe=_recipe(training, family, steps),
                latents=str(latents),
                # Where an earlier look is kept, its steps are taken again.
                run=str(Path(name) / family),
                sampler=SAMPLERS[family],
                **compared,
            )
            results.put("families", key(family, steps), cell)


def key(family: str, steps: int) -> str:
    """The key of a look at a family."""
    return f"{family}, {steps} steps"


def _recipe(training: ToyTraining, family: str, steps: int) -> dict[str, object]:
    return {
        "transformer": {
            "family": family,
            "depth": training.depth,
            "width": training.width,
            "heads": training.heads,
            # Guidance would leave the distribution for its peaks.
            "guidance": 1.0,
        },
        "batch_size": training.batch_size,
        "steps": steps,
        "optimizer": {"learning_rate": training.learning_rate, "warm_up_steps": 100},
        "ema": {"decay": training.ema, "warm_up": 200},
        "checkpoint_every": steps,
    }
